"""Progress of a long measurement, on stderr."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_LINES = 20


def counted(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    """Yield the items and show a progress bar, or a line now and then without tqdm.

    Args:
        items: Items of the work.
        total: Number of items.
        unit: Name of one item, e.g. "pick".
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
