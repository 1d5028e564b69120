"""The `molmo-point` command: its run, and its exit codes.

Only what handles a signal is imported here; everything else is loaded when a signal already ends in one line.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

from molmo_point.cli.exit_codes import EXIT_ERROR, EXIT_OK
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
            code = _run(arguments)
        except KeyboardInterrupt:
            code = 130
        finally:
            signals.end()
        if signals.exit_code is None:
            return code
        # Whatever a library made of the interrupt, it was one.
        signals.say()
        return signals.exit_code


def _run(arguments: Sequence[str] | None) -> int:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    from molmo_point.cli.terminal import printable_streams

    with printable_streams():
        return _command(arguments)


def _command(arguments: Sequence[str] | None) -> int:
    from molmo_point.errors import MolmoPointError

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
        _close_streams()
        return EXIT_ERROR
    except MolmoPointError as error:
        return _fail(options, error, str(error))
    except OSError as error:
        _close_streams()
        place = f": {error.filename}" if error.filename else ""
        return _fail(options, error, f"{error.strerror or error}{place}. Fix: check the files, the disk, and the permissions.")
    except MemoryError as error:
        return _fail(options, error, "The memory of this machine is full. Fix: use a smaller input or a smaller model.")
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        return _fail(options, error, f"This should not happen: {words}. Fix: report it, with the output of --traceback.")


def _close_streams() -> None:
    """Let the rest of broken streams go nowhere (`| head`, a full disk); else Python complains at its end."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _fail(options: Any, error: Exception, line: str) -> int:
    import contextlib

    from molmo_point.text_checks import printable

    if options is not None and options.traceback:
        import traceback

        traceback.print_exception(error)
    if len(line) > _LONGEST_LINE:
        line = f"{line[: _LONGEST_LINE // 2]} … {line[-_LONGEST_LINE // 2 :]}"
    with contextlib.suppress(OSError):
        print(f"molmo-point: {printable(' '.join(line.split()))}", file=sys.stderr, flush=True)
    return EXIT_ERROR
