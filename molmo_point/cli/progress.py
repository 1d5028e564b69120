"""How far a long measurement is, on stderr."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_LINES = 20


def counted(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    """The items with a progress bar; where tqdm is not installed, with a line now and then.

    Args:
        items: What is worked through.
        total: How many there are.
        unit: What one is called, e.g. "pick".
    """
    try:
        from tqdm import tqdm
    except ImportError:
        for number, item in enumerate(items):
            if number % max(total // _LINES, 1) == 0:
                print(f"{unit} {number} of {total}", file=sys.stderr)
            yield item
        return
    yield from tqdm(items, total=total, desc=f"{unit}s", unit=unit)
