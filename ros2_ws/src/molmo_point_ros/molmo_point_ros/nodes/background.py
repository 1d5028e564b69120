"""Nodes as background processes, for demos: started, watched, and ended with the program."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from molmo_point.errors import MolmoPointError

_END_S = 10.0


class Background:
    """A running process, with its output in a file.

    Attributes:
        name: Name of the module.
        log: File with its output.
    """

    def __init__(self, name: str, process: subprocess.Popen, log: Path) -> None:
        self.name, self.log, self._process = name, log, process

    def said(self) -> str:
        """Return its output so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, words: str, timeout_s: float) -> None:
        """Wait until it has written these words.

        Raises:
            MolmoPointError: If it ends before, or does not in time; with the last lines of its output.
        """
        deadline = time.monotonic() + timeout_s
        while words not in self.said():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                why = f"ended with {self._process.returncode}" if ended else f"not in {timeout_s:g} s"
                tail = " | ".join(self.said().splitlines()[-3:])
                raise MolmoPointError(f"{self.name} did not say {words!r}", f"{why}; {tail}", f"see {self.log}")
            time.sleep(0.2)


@contextmanager
def running(
    module: str, log: str | Path, parameters: Mapping[str, Any] | None = None, remappings: Mapping[str, str] | None = None
) -> Iterator[Background]:
    """Run a node of this package until the end of the block.

    Args:
        module: Module of molmo_point_ros, e.g. "pick_node".
        log: File for its output; its folder is created.
        parameters: ROS parameters.
        remappings: New names of topics by their own names.
    """
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    options = [part for name, value in (parameters or {}).items() for part in ("-p", f"{name}:={_text(value)}")]
    options += [part for name, other in (remappings or {}).items() for part in ("-r", f"{name}:={other}")]
    command = [sys.executable, "-m", f"molmo_point_ros.{module}", "--ros-args", *options]
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=dict(os.environ, PYTHONUNBUFFERED="1"), start_new_session=True
        )
    try:
        yield Background(module, process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_END_S)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)
