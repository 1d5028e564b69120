"""Streams of the command line: names from files, messages and models are shown, not obeyed."""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from typing import TextIO

from molmo_point.text_checks import printable

# A progress bar below another one moves the cursor up by such a text.
_BAR_MOVES = re.compile("(?:[\r\n]|\x1b\\[A)+")


class PrintableStream(io.TextIOBase):
    """A stream that replaces control characters, except line breaks and tabs.

    Args:
        stream: The stream that receives the text.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        return self._stream.encoding

    @property
    def buffer(self) -> object:
        return self._stream.buffer

    def write(self, text: str) -> int:
        # A progress bar begins with a return; one later in a text would overwrite the line.
        start = len(text) - len(text.lstrip("\r"))
        self._stream.write(text if _BAR_MOVES.fullmatch(text) else text[:start] + printable(text[start:], keep="\n\t"))
        return len(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


@contextlib.contextmanager
def printable_streams() -> Iterator[None]:
    """Let `sys.stdout` and `sys.stderr` show control characters, and letters that the terminal lacks, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter must not end the program.
            stream.reconfigure(errors="backslashreplace")
    with (
        contextlib.redirect_stdout(PrintableStream(sys.stdout)),
        contextlib.redirect_stderr(PrintableStream(sys.stderr)),
    ):
        yield
