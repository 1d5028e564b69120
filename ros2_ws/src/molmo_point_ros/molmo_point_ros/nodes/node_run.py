"""Run a node: start it or log the reason why not, spin it until a signal, and end it in order.

rclpy's own signal handlers shut ROS down under the threads that still publish: results were lost, and some ends crashed or
hung. Here ROS lives until the node is destroyed. First the work ends and its results are sent, then the executor ends, then
the node's threads, then the node, then ROS.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from abc import ABC
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions

from molmo_point.errors import MolmoPointError
from molmo_point_ros.nodes.goal_error import brief
from molmo_point_ros.nodes.name_watch import NameWatch
from molmo_point_ros.nodes.spinning import spin

END_S = 8.0
"""Longest wait for the work at hand when a node ends."""
_SENT_S = 0.15
"""Time in which the executor sends the results of the work that has ended."""
_CHECK_S, _LOOK_S, _JOIN_S = 0.02, 0.2, 5.0


class RunnableNode(ABC):  # noqa: B024
    """The steps in the life of a node that `run_node` asks for, with defaults for a node without work of its own."""

    def start(self) -> bool:
        """Get ready for work. Returns False if the node cannot; it has logged the reason.

        Raises:
            MolmoPointError: If the node cannot; `run_node` logs it.
        """
        return True

    @property
    def is_done(self) -> bool:
        """True if the node may end by itself."""
        return False

    @property
    def is_idle(self) -> bool:
        """True if no work is at hand."""
        return True

    def end_work(self) -> None:  # noqa: B027
        """Take no more work, and tell the work at hand to end. Returns at once."""

    def close(self) -> None:  # noqa: B027
        """End the node's threads, and free what it has opened. Nothing spins the node any more.

        Raises:
            MolmoPointError: If the work could not be finished.
        """


class EndSignals:
    """SIGINT and SIGTERM as the wish to end: the first raises KeyboardInterrupt, or ends `wait`. Later ones are ignored."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._raises = True
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Take the signals from now on. Python allows it in the main thread only; elsewhere nothing happens."""
        if threading.current_thread() is threading.main_thread():
            self._before = {sign: signal.signal(sign, self._take) for sign in (signal.SIGINT, signal.SIGTERM)}

    def restore(self) -> None:
        """Give the signals back."""
        for sign, handler in self._before.items():
            signal.signal(sign, handler)

    def _take(self, sign: int, frame: FrameType | None) -> None:
        raises, self._raises = self._raises, False
        self._asked.set()
        if raises:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        """Only remember a signal from now on."""
        self._raises = False

    def wait(self, ended: Callable[[], bool]) -> None:
        """Return at the first signal, or when `ended` returns true."""
        self.ignore()
        while not ended() and not self._asked.wait(_LOOK_S):
            pass


def run_node(name: str, args: Sequence[str] | None, make: Callable[[], Any], threads: int = 1) -> int:
    """Run a node until a signal, the end of ROS, or the end of its work.

    Args:
        name: Name of the logger.
        args: Arguments of ROS; None takes those of the program.
        make: Makes the node, a `RunnableNode`. A refused parameter, or security without its keys or DDS, is logged without
            a traceback.
        threads: Number of threads for its callbacks.

    Returns:
        0; 1 if the node cannot start.
    """
    signals, spinning = EndSignals(), None
    node, code = None, 0
    try:
        signals.install()
        rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
        node = make()
        spinning = _Spinning(node, threads)
        code = 0 if node.start() else 1
        if code == 0:
            spinning.start()
            signals.wait(lambda: node.is_done or not spinning.is_alive)
            # The node's callbacks failed again and again; the log has the reason.
            code = 0 if node.is_done or spinning.is_alive or not node.context.ok() else 1
    except KeyboardInterrupt:
        pass
    except (MolmoPointError, ParameterException, RuntimeError) as error:
        get_logger(name).fatal(f"cannot start: {brief(' '.join(str(error).split()))}")
        code = 1
    signals.ignore()
    if node is not None:
        try:
            _end(node, spinning, code)
        except MolmoPointError as error:
            node.get_logger().error(f"ended with an error: {brief(str(error))}")
            code = 1
        node.destroy_node()
    rclpy.try_shutdown()
    _leave(code)
    signals.restore()
    return code


class _Spinning:
    """The executor of a node, in a thread of its own: the main thread only waits for signals."""

    def __init__(self, node: Any, threads: int) -> None:
        self._node, self._ended = node, threading.Event()
        self._executor = SingleThreadedExecutor() if threads == 1 else MultiThreadedExecutor(num_threads=threads)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=spin, args=(self._executor, node, self._ended), name="spin", daemon=True)

    def start(self) -> None:
        self._names = NameWatch(self._node)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        self._ended.set()
        if self.is_alive:
            # The task wakes the executor.
            self._executor.create_task(lambda: None)
            self._thread.join(_JOIN_S)
        if isinstance(self._executor, MultiThreadedExecutor):
            # rclpy destroys what a running callback uses before it joins the threads.
            self._executor._executor.shutdown(wait=True)
        self._executor.shutdown(timeout_sec=_JOIN_S)


def _end(node: Any, spinning: _Spinning | None, code: int) -> None:
    """End everything in an order in which nothing publishes on what is destroyed."""
    was_idle, deadline_s = node.is_idle, time.monotonic() + END_S
    node.end_work()
    while spinning is not None and spinning.is_alive and not node.is_idle and time.monotonic() < deadline_s:
        time.sleep(_CHECK_S)
    if not node.is_idle:
        node.get_logger().warning(f"ends without its last goal, which did not stop in {END_S:g} s")
        node.close()
        _leave_now(code)
    if spinning is not None:
        if not was_idle and spinning.is_alive:
            time.sleep(_SENT_S)
        spinning.end()
    node.close()


def _leave(code: int) -> None:
    """End the process if a thread is still busy, with a driver or a model: Python would tear down what it uses."""
    main = threading.main_thread()
    if threading.current_thread() is main and any(thread is not main for thread in threading.enumerate()):
        _leave_now(code)


def _leave_now(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
