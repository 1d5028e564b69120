"""Limits of the fields that goals, requests and parameters bring: checked before any of them is echoed."""

import math
from typing import Any

from molmo_point.errors import InputError

LONGEST_TIMEOUT_S = 86_400.0
"""One day. A longer timeout is a mistake of units or a number that overflowed."""
LONGEST_FRAME = 255
"""Most characters of a frame's name."""
LONGEST_TEXT = 4096
"""Most characters of a parameter."""


def checked_timeout_s(timeout_s: float, name: str = "timeout_s") -> float:
    """Return a timeout in seconds.

    Raises:
        InputError: If it is no number, not finite, negative, or longer than a day.
    """
    if not isinstance(timeout_s, (int, float)) or not 0.0 <= timeout_s <= LONGEST_TIMEOUT_S:
        fix = f"give seconds from 0 to {LONGEST_TIMEOUT_S:g}"
        raise InputError(f"{name} must be finite, not negative, and at most a day", repr(timeout_s)[:50], fix)
    return float(timeout_s)


def checked_duration_s(duration: Any, name: str) -> float:
    """Return a Duration message in seconds.

    Raises:
        InputError: As `checked_timeout_s`.
    """
    return checked_timeout_s(duration.sec + duration.nanosec * 1e-9, name)


def checked_number(value: float, name: str) -> float:
    """Return a number of a message.

    Raises:
        InputError: If it is not finite.
    """
    if not math.isfinite(value):
        raise InputError(f"{name} must be finite", str(value), "give a number")
    return float(value)


def checked_frame(frame: str, name: str = "target_frame") -> str:
    """Return the name of a frame without its leading slash, as tf2 stores it; "" stays "".

    Raises:
        InputError: If it is blank, too long, or has blanks or control characters.
    """
    bare = frame.lstrip("/")
    if len(frame) > LONGEST_FRAME:
        raise InputError(f"{name} must have at most {LONGEST_FRAME} characters", f"{len(frame)} characters", "name a frame")
    if frame and (not bare or not bare.isprintable() or any(letter.isspace() for letter in bare)):
        raise InputError(f"{name} must be a frame's name without blanks and control characters", repr(frame), "name a frame")
    return bare
