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

import rclpy

from molmo_point.errors import MolmoPointError

_END_S = 10.0
_CHECK_S = 0.2


class BackgroundNode:
    """A node as a running process, with its output in a file.

    Attributes:
        name: Name of the module.
        log: File with its output.
    """

    def __init__(self, name: str, process: subprocess.Popen, log: Path) -> None:
        self.name, self.log, self._process = name, log, process

    def wait_for_action(self, action: str, timeout_s: float) -> None:
        """Wait until the node serves an action, e.g. "molmo_pick/pick_object": its model is loaded then.

        Raises:
            MolmoPointError: If the process ends, or does not serve it in time; with the last lines of its output.
        """
        service = f"/{action}/_action/send_goal"
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node("wait_for_action", context=context, start_parameter_services=False)
        deadline_s = time.monotonic() + timeout_s
        try:
            while service not in (name for name, _ in node.get_service_names_and_types()):
                if self._process.poll() is not None or time.monotonic() > deadline_s:
                    raise self._not_ready(action, timeout_s)
                time.sleep(_CHECK_S)
        finally:
            node.destroy_node()
            context.shutdown()

    def _not_ready(self, action: str, timeout_s: float) -> MolmoPointError:
        code = self._process.poll()
        reason = f"no action {action} in {timeout_s:g} s" if code is None else f"ended with {code}"
        tail = " | ".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])
        return MolmoPointError(f"{self.name} did not start", f"{reason}; {tail}", f"see {self.log}")


@contextmanager
def running(
    module: str, log: str | Path, parameters: Mapping[str, Any] | None = None, remappings: Mapping[str, str] | None = None
) -> Iterator[BackgroundNode]:
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
        yield BackgroundNode(module, process, log)
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
