"""Commands on standard input, read while others are carried out: a stop is not queued."""

import os
import queue
import select
import sys
import threading
from collections.abc import Callable, Iterator

_LOOK_S = 0.1
_LONGEST = 100_000


class CommandLines:
    """Lines of standard input, in order. A thread reads ahead.

    Args:
        says_stop: Tells of a line whether it is a stop.
        on_stop: Called in the thread, at once, with a line that is a stop. The lines before it are dropped.
        stops: Returns the number of stops so far; every line comes with the number at which it was read.
        descriptor: The file to read.
    """

    def __init__(
        self,
        says_stop: Callable[[str], bool],
        on_stop: Callable[[str], object],
        stops: Callable[[], int] = lambda: 0,
        descriptor: int | None = None,
    ) -> None:
        self._says_stop, self._on_stop, self._stops = says_stop, on_stop, stops
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._lines: queue.Queue[tuple[str, int] | None] = queue.Queue()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read, name="command_lines", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[tuple[str, int]]:
        while True:
            try:
                line = self._lines.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if line is None:
                return
            yield line

    def drop(self) -> None:
        """Forget the lines that are read but not carried out."""
        kept_end = False
        while True:
            try:
                kept_end = self._lines.get_nowait() is None or kept_end
            except queue.Empty:
                break
        if kept_end:
            self._lines.put(None)

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join(1.0)

    def _read(self) -> None:
        rest = b""
        while not self._end.is_set():
            if not select.select([self._descriptor], [], [], _LOOK_S)[0]:
                continue
            more = os.read(self._descriptor, 65536)
            *lines, rest = (rest + more).split(b"\n")
            for line in lines if more else filter(None, [rest]):
                self._take(line.decode("utf-8", "replace").strip())
            rest = rest[-_LONGEST:]
            if not more:
                self._lines.put(None)
                return

    def _take(self, line: str) -> None:
        if not self._says_stop(line):
            self._lines.put((line, self._stops()))
            return
        self.drop()
        self._on_stop(line)
