"""Arguments of the `molmo-point` command."""

import argparse
from typing import NoReturn

from molmo_point.cli import ask as question
from molmo_point.cli import bench, demo, train, view
from molmo_point.cli import point as ask
from molmo_point.cli.calibrate import calibrate_command as calibrate
from molmo_point.cli.doctor import doctor_command as doctor
from molmo_point.cli.evaluate import eval_command as evaluate
from molmo_point.cli.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_NOT_TRAINED, EXIT_NOTHING_FOUND, EXIT_OK
from molmo_point.cli.teach import taught_command, teach_command
from molmo_point.text_checks import printable

_EPILOG = (
    f"exit codes: {EXIT_OK} done, {EXIT_ERROR} error (one line on stderr), {EXIT_NOTHING_FOUND} the object is not in the image, "
    f"{EXIT_NOT_TRAINED} the model was not trained for such questions, {EXIT_INTERRUPTED} interrupted. "
    "With --json, stdout is exactly one JSON object."
)


class _Parser(argparse.ArgumentParser):
    """Report wrong arguments in one line, with the exit code of every other mistake of the user."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_ERROR, f"{self.prog}: {printable(message)}. See {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command."""
    import molmo_point

    parser = _Parser(prog="molmo-point", description="Words to 3D targets with Molmo and a depth camera.", epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"molmo-point {molmo_point.__version__}")
    parser.add_argument("--traceback", action="store_true", help="on an error, show its origin")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True, parser_class=_Parser)
    ask.add_point(commands.add_parser("point", help="point at what the words name, in 2D and 3D", epilog=_EPILOG))
    ask.add_count(commands.add_parser("count", help="count what the words name", epilog=_EPILOG))
    question.add_ask(commands.add_parser("ask", help="ask anything about an image", epilog=_EPILOG))
    question.add_caption(commands.add_parser("caption", help="describe an image", epilog=_EPILOG))
    teach_command.add_arguments(commands.add_parser("teach", help="learn an object from a few views", epilog=_EPILOG))
    taught_command.add_arguments(commands.add_parser("taught", help="show, rename, correct, merge and forget taught objects"))
    demo.add_arguments(commands.add_parser("demo", help="point at objects on a simulated table", epilog=_EPILOG))
    view.add_arguments(commands.add_parser("view", help="a simulated arm in the browser, moved by typed commands"))
    evaluate.add_arguments(commands.add_parser("eval", help="measure a checkpoint on scenes with known truth"))
    bench.add_arguments(commands.add_parser("bench", help="measure the speed of a checkpoint on this machine"))
    calibrate.add_arguments(commands.add_parser("calibrate", help="cameras, and cameras against arms, with their error"))
    train.add_arguments(commands.add_parser("train", help="train a Molmo on rendered scenes or on your labels"))
    doctor.add_arguments(commands.add_parser("doctor", help="what is installed, what is missing, how to get it"))
    return parser
