"""The `molmo-point` command: arguments and exit codes."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from molmo_point.cli import ask as question
from molmo_point.cli import bench, demo, train, view
from molmo_point.cli import point as ask
from molmo_point.cli.calibrate import calibrate_command as calibrate
from molmo_point.cli.doctor import doctor_command as doctor
from molmo_point.cli.evaluate import eval_command as evaluate
from molmo_point.cli.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_NOTHING_FOUND, EXIT_OK
from molmo_point.cli.terminal import printable_streams
from molmo_point.errors import MolmoPointError
from molmo_point.text_checks import printable

_LONGEST_LINE = 2000

_EPILOG = (
    f"exit codes: {EXIT_OK} done, {EXIT_ERROR} error (one line on stderr), {EXIT_NOTHING_FOUND} the object is not in the image, "
    f"{EXIT_INTERRUPTED} interrupted. "
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
    demo.add_arguments(commands.add_parser("demo", help="point at objects on a simulated table", epilog=_EPILOG))
    view.add_arguments(commands.add_parser("view", help="a simulated arm in the browser, moved by typed commands"))
    evaluate.add_arguments(commands.add_parser("eval", help="measure a checkpoint on scenes with known truth"))
    bench.add_arguments(commands.add_parser("bench", help="measure the speed of a checkpoint on this machine"))
    calibrate.add_arguments(commands.add_parser("calibrate", help="cameras, and cameras against arms, with their error"))
    train.add_arguments(commands.add_parser("train", help="train a Molmo on rendered scenes or on your labels"))
    doctor.add_arguments(commands.add_parser("doctor", help="what is installed, what is missing, how to get it"))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command line without the program's name; None takes the process's.

    Returns:
        The exit code.
    """
    with printable_streams():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    options = None
    try:
        options = build_parser().parse_args(arguments)
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_OK if end.code is None else EXIT_ERROR
    except KeyboardInterrupt:
        print("molmo-point: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`); without this, Python complains again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_ERROR
    except MolmoPointError as error:
        return _fail(options, error, " ".join(str(error).split()))
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(options, error, f"This should not happen: {words}. Fix: report it, with the output of --traceback.")


def _fail(options: argparse.Namespace | None, error: Exception, line: str) -> int:
    if options is not None and options.traceback:
        traceback.print_exception(error)
    if len(line) > _LONGEST_LINE:
        line = f"{line[: _LONGEST_LINE // 2]} … {line[-_LONGEST_LINE // 2 :]}"
    print(f"molmo-point: {printable(line)}", file=sys.stderr)
    return EXIT_ERROR
