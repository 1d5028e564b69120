"""Numbers on the command line, checked while they are read."""

import argparse
from collections.abc import Callable

MAX_SEED = 2**31 - 1


def seed(text: str) -> int:
    """Read the seed of random numbers.

    Raises:
        ArgumentTypeError: It is no whole number from 0 to `MAX_SEED`.
    """
    return _whole(text, 0, MAX_SEED)


def amount(most: int) -> Callable[[str], int]:
    """Make the reader of a number of objects, from 1 to `most`; errors as `seed`."""
    return lambda text: _whole(text, 1, most)


def _whole(text: str, least: int, most: int) -> int:
    # More digits than a number may have would take long to read.
    if text.isascii() and text.isdigit() and len(text) <= 20 and least <= int(text) <= most:
        return int(text)
    raise argparse.ArgumentTypeError(f"it must be a whole number from {least} to {most}, not {text[:80]!r}")
