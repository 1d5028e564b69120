"""The `molmo-point` command: its run, and its exit codes.

Only what handles a signal is imported here; everything else is loaded when a signal already ends in one line.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

from molmo_point.cli.exit_codes import EXIT_ERROR, EXIT_NOT_TRAINED, EXIT_OK
from molmo_point.cli.signal_end import SignalEnd

_LONGEST_LINE = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command line without the program's name; None takes the process's.

    Returns:
        The exit code.
    """
    with SignalEnd(whole_process=arguments is None) as signals:
        try:
            code = _run(arguments, signals)
        except KeyboardInterrupt:
            # A library may raise one without a signal.
            code = 130
            signals.exit_code = signals.exit_code or code
        finally:
            signals.end()
        if signals.exit_code is None:
            return code
        # Whatever a library made of the interrupt, it was one.
        signals.say()
        return signals.exit_code


def _run(arguments: Sequence[str] | None, signals: SignalEnd) -> int:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    from molmo_point.cli.terminal import printable_streams

    with printable_streams():
        code = _command(arguments, signals)
        return code if _closed_streams() else code or EXIT_ERROR


def _command(arguments: Sequence[str] | None, signals: SignalEnd) -> int:
    options = None
    try:
        from molmo_point.cli.argument_parser import build_parser

        options = build_parser().parse_args(arguments)
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_OK if end.code is None else EXIT_ERROR
    except BrokenPipeError:
        return EXIT_ERROR
    except Exception as error:
        # An interrupt may come out of a library as any error.
        if signals.exit_code is not None:
            return EXIT_ERROR
        _fail(options, error, _line(error))
        return _code(error)


def _code(error: Exception) -> int:
    from molmo_point.errors import NotTrainedError

    return EXIT_NOT_TRAINED if isinstance(error, NotTrainedError) else EXIT_ERROR


def _line(error: Exception) -> str:
    """Say what went wrong, and the remedy, in one line."""
    from molmo_point.errors import MolmoPointError

    if isinstance(error, MolmoPointError):
        return str(error)
    if isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{place}. Fix: check the files, the disk, and the permissions."
    if isinstance(error, MemoryError):
        return "The memory of this machine is full. Fix: use a smaller input or a smaller model."
    words = f"{type(error).__name__}: {error}"
    return f"This should not happen: {words}. Fix: report it, with the output of --traceback."


def _closed_streams() -> bool:
    """Write out both streams; what a broken one holds goes nowhere (`| head`, a full disk). True if all was written."""
    good = True
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            # Python would complain again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            good = False
    return good


def _fail(options: Any, error: Exception, line: str) -> None:
    import contextlib

    from molmo_point.text_checks import printable

    if options is not None and options.traceback:
        import traceback

        traceback.print_exception(error)
    if len(line) > _LONGEST_LINE:
        line = f"{line[: _LONGEST_LINE // 2]} … {line[-_LONGEST_LINE // 2 :]}"
    with contextlib.suppress(OSError):
        print(f"molmo-point: {printable(' '.join(line.split()))}", file=sys.stderr, flush=True)
