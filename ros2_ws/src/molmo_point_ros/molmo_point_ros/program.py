"""Load and run a program of this package; a signal while its libraries load ends it quietly. Imports nothing heavy."""

import os
import signal
from collections.abc import Iterable
from importlib import import_module

NODE_SIGNALS = {signal.SIGINT: 0, signal.SIGTERM: 0}
"""Exit codes of a node on a signal: ending is what it was asked for."""
CLIENT_SIGNALS = {sign: 128 + sign for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
"""Exit codes of a client on a signal: it has not done what it was started for."""


def taken(codes: Iterable[signal.Signals]) -> list[signal.Signals]:
    """Return the signals that a program takes: not SIGHUP under nohup."""
    return [sign for sign in codes if sign is not signal.SIGHUP or signal.getsignal(sign) is not signal.SIG_IGN]


def run_program(module: str, codes: dict[signal.Signals, int]) -> int:
    """Import a module of this package and return what its `main` returns.

    Args:
        module: Name below `molmo_point_ros`.
        codes: Exit code for every signal that ends the program while it loads; nothing has begun by then.
    """

    def leave(sign: int, _: object) -> None:
        os._exit(codes[signal.Signals(sign)])

    for sign in taken(codes):
        signal.signal(sign, leave)
    # `ros2_ws/run` blocks them until here.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, codes)
    # `main` installs other handlers when it starts ROS.
    return import_module(f"molmo_point_ros.{module}").main()
