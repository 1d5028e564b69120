"""Run a client program: ROS without its signal handlers, and a clean end by Ctrl-C, SIGTERM, or a closed terminal."""

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TextIO

import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rclpy.validate_topic_name import validate_topic_name

from molmo_point.errors import InputError, MolmoPointError
from molmo_point_ros.conversions.field_checks import checked_timeout_s
from molmo_point_ros.nodes.goal_error import GoalError, brief
from molmo_point_ros.program import CLIENT_SIGNALS, taken

_LARGEST_CODE = 125
_BROKEN_PIPE = 128 + signal.SIGPIPE


class _Signaled(KeyboardInterrupt):
    """A signal that ends the program."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


def seconds(text: str) -> float:
    """Return the value of an option in seconds, for argparse.

    Raises:
        argparse.ArgumentTypeError: If it is no number, not finite, negative, or longer than a day.
    """
    try:
        return checked_timeout_s(float(text))
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{error.fix}, not {brief(text, 50)!r}") from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"give a number of seconds, not {brief(text, 50)!r}") from None


def node_name(text: str) -> str:
    """Return the value of an option that names a node, for argparse.

    Raises:
        argparse.ArgumentTypeError: If no node can have the name.
    """
    try:
        validate_topic_name(text)
    except NameValidationException:
        raise argparse.ArgumentTypeError(f"give the name of a node, not {brief(text, 50)!r}") from None
    return text


def parse_options(parser: argparse.ArgumentParser, name: str, args: Sequence[str] | None) -> tuple[list[str], argparse.Namespace]:
    """Return the arguments for ROS, with the program's name, and the options. Ends the program with 2 if they are refused."""
    arguments = list(sys.argv if args is None else [name, *args])
    try:
        others = remove_ros_args(arguments)[1:]
    except Exception as error:
        parser.error(f"arguments of ROS: {brief(str(error))}")
    return arguments, parser.parse_args(others)


def tell(line: str, stream: TextIO) -> None:
    """Print a line of progress, from any thread. If nobody reads it any more, the program ends as by SIGTERM."""
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        _silence()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _silence() -> None:
    """Let what is printed from now on go nowhere; Python flushes its streams once more at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def run_client(args: Sequence[str], work: Callable[[], int], stop: Callable[[], object] = lambda: None) -> int:
    """Start ROS, do the work, and end ROS.

    ROS outlives a signal: rclpy's own handlers would end it before `stop` could reach a node. The first signal raises
    KeyboardInterrupt in the work; later ones are ignored until `stop` has returned.

    Args:
        args: Arguments of ROS, with the program's name.
        work: Does the work, and returns the exit code.
        stop: Called after a signal, and when nobody reads the output any more.

    Returns:
        The exit code: that of the work, of the action's error (at most 125), 1 after another error of the package, or 128
        and the number of the signal.
    """
    raised = False

    def take(sign: int, _: FrameType | None) -> None:
        nonlocal raised
        if not raised:
            raised = True
            raise _Signaled(CLIENT_SIGNALS[signal.Signals(sign)])

    before = {}
    try:
        before = {sign: signal.signal(sign, take) for sign in taken(CLIENT_SIGNALS)}
        try:
            rclpy.init(args=list(args), signal_handler_options=SignalHandlerOptions.NO)
        except RuntimeError as error:
            raise InputError("ROS must start", " ".join(str(error).split()), "correct the arguments after --ros-args") from None
        code = work()
    except _Signaled as signaled:
        code = signaled.code
        stop()
    except BrokenPipeError:
        code = _BROKEN_PIPE
        raised = True
        _silence()
        stop()
    except MolmoPointError as error:
        print(brief(str(error)), file=sys.stderr)
        code = min(error.code, _LARGEST_CODE) if isinstance(error, GoalError) else 1
    raised = True
    rclpy.try_shutdown()
    for sign, handler in before.items():
        with contextlib.suppress(TypeError):
            signal.signal(sign, handler)
    return code
