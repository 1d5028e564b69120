"""Ends of the command by a signal: Ctrl-C, SIGTERM, and a terminal that closes.

A signal raises `Interrupted` where the command is, so that arms stop, child processes end, and temporary files go.
Libraries that are being loaded do not survive an exception at any line: there the command ends at once, or waits for the
end of the import if it holds an arm or processes.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_DOUBLE_S = 1.0
_AGAIN_S = 0.02
_LINE = "molmo-point: interrupted"
_held = 0


class Interrupted(KeyboardInterrupt):
    """A signal ends the command.

    Attributes:
        exit_code: Exit code of the command: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def must_unwind() -> Iterator[None]:
    """Context of a command that holds an arm, processes or temporary files: a signal never skips its end."""
    global _held
    _held += 1
    try:
        yield
    finally:
        _held -= 1


class SignalEnd:
    """Handlers of the signals that end the command; a context manager for the main thread.

    Args:
        whole_process: True leaves the system's own handlers at the end, for the rest of the process; False restores.

    Attributes:
        exit_code: Exit code after a signal; None before one.
    """

    def __init__(self, whole_process: bool) -> None:
        self.exit_code: int | None = None
        self._whole_process = whole_process
        self._over = self._waiting = False
        self._raised_s = float("-inf")
        self._before: dict[int, Any] = {}
        self._hook_before = sys.unraisablehook

    def __enter__(self) -> "SignalEnd":
        if threading.current_thread() is threading.main_thread():
            sys.unraisablehook = self._unraisable
            for number in (getattr(signal, name) for name in _NAMES if name in dir(signal)):
                # A shell starts background jobs with Ctrl-C ignored, and nohup ignores SIGHUP: both stay so.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_DFL if self._whole_process else before)
        sys.unraisablehook = self._hook_before

    def say(self) -> None:
        """Tell a person that the command was interrupted."""
        with contextlib.suppress(OSError, ValueError):
            print(_LINE, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Ignore all further signals."""
        self._over = True

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        # Ctrl-C twice in a row must not interrupt what the first one ends.
        if self._over or (not self._waiting and time.monotonic() - self._raised_s < _DOUBLE_S):
            return
        self.exit_code = 128 + number if self.exit_code is None else self.exit_code
        if _is_importing(frame):
            if not _held:
                with contextlib.suppress(OSError):
                    os.write(2, f"{_LINE}\n".encode())
                os._exit(self.exit_code)
            self._again(number)
            return
        self._waiting, self._raised_s = False, time.monotonic()
        raise Interrupted(number)

    def _again(self, number: int) -> None:
        self._waiting = True
        timer = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()

    def _unraisable(self, found: Any) -> None:
        """Raise an interrupt again that arrived in a destructor or a callback, where Python drops it."""
        if isinstance(found.exc_value, Interrupted):
            self._again(found.exc_value.exit_code - 128)
        else:
            self._hook_before(found)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
