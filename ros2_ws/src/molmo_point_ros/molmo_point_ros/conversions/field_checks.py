"""Limits of the fields that goals, requests and parameters bring: checked before any of them is echoed."""

import math
from collections.abc import Sequence
from typing import Any

from molmo_point.errors import InputError
from molmo_point.text_checks import checked_words
from molmo_point_ros.conversions import stamp_to_ns

LONGEST_TIMEOUT_S = 86_400.0
"""One day. A longer timeout is a mistake of units or a number that overflowed."""
MAX_QUERIES = 16
"""Of one goal or request."""
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


def checked_queries(queries: Sequence[str], longest: int) -> list[str]:
    """Return queries that can be asked, without the blanks around them.

    Args:
        queries: As received.
        longest: Most characters of a query.

    Raises:
        InputError: For no queries, too many, or one that is empty, too long, or has control characters.
    """
    lengths = [len(query) for query in queries]
    given = ""
    if not 1 <= len(queries) <= MAX_QUERIES:
        given = f"{len(queries)} queries"
    elif max(lengths) > longest:
        given = f"a query of {max(lengths)} characters"
    elif not all(query.strip() for query in queries):
        given = f"{len(queries)} queries, {sum(not query.strip() for query in queries)} of them empty"
    if given:
        fix = f"send 1 to {MAX_QUERIES} queries with words in them, each of at most {longest} characters"
        raise InputError("queries must be short phrases", given, fix)
    return [checked_words(query, longest=longest) for query in queries]


def checked_stamp_ns(stamp: Any, name: str) -> int:
    """Return a stamp in nanoseconds; 0 stays 0.

    Raises:
        InputError: If it is before the epoch.
    """
    if stamp.sec < 0:
        raise InputError(f"{name} must not be negative", f"{stamp.sec} s", "give a capture time, or 0")
    return stamp_to_ns(stamp)


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
