"""Progress of a long measurement, on stderr."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from molmo_point.dependencies import require_name

Item = TypeVar("Item")


def counted(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    """Yield the items and show a progress bar.

    Args:
        items: Items of the work.
        total: Number of items.
        unit: Name of one item, e.g. "pick".

    Raises:
        DependencyError: tqdm is not installed.
    """
    tqdm = require_name("tqdm:tqdm", "The progress of a measurement", "model")
    yield from tqdm(items, total=total, desc=f"{unit}s", unit=unit)
