"""Conversion of coordinate pairs to points in pixels."""

from collections.abc import Iterator
from typing import Protocol

from molmo_point.points.answer import CoordinatePair, Problems, Size, Span
from molmo_point.results import ImagePoint

_RANGES = {(100.0, 100.0): "0 to 100 percent", (1000.0, 1000.0): "0 to 1000"}


class Find(Protocol):
    """Reader of a dialect."""

    def __call__(self, text: str, problems: Problems, *, growing: bool = False) -> Iterator[CoordinatePair]: ...


class Collector:
    """Collector of points in pixels, without repeats and without points outside the image.

    Args:
        sizes: Width and height of every image in pixels.
        before: Collector of an earlier part of the same text.
        offset: Place of this part in the text.
    """

    def __init__(self, sizes: tuple[Size, ...], before: "Collector | None" = None, offset: int = 0) -> None:
        self.points: list[ImagePoint] = []
        self.spans: list[tuple[Span, Span]] = []
        self.problems = Problems()
        self._sizes = sizes
        self._before = before
        self._offset = offset
        self._named: set[tuple[object, ...]] = set()
        self._tag_of: dict[tuple[object, ...], int] = {}

    def read(self, find: Find, text: str, *, growing: bool = False) -> None:
        """Take the points of a text; while it grows, only those that more text cannot change or drop."""
        for found in find(text, self.problems, growing=growing):
            if self._reaches_outside(found):
                continue
            elsewhere = self._repeats_elsewhere(found)
            if elsewhere and growing:
                return
            if elsewhere or self._knows(found):
                self.problems.add("a point repeats another", f"x={found.x:g} y={found.y:g}", harmless=True)
                continue
            self._take(found)

    def join(self, later: "Collector") -> None:
        """Take over the points of the next part of the text."""
        self.points += later.points
        self.spans += later.spans
        self._named |= later._named
        for place, tag in later._tag_of.items():
            self._tag_of.setdefault(place, tag)

    def _take(self, found: CoordinatePair) -> None:
        width, height = self._sizes[found.image_index]
        self._named.add((*found.place, found.label))
        self._tag_of.setdefault(found.place, found.tag + self._offset if found.tag >= 0 else -1)
        self.spans.append((found.x_span, found.y_span))
        self.points.append(
            ImagePoint(
                found.x / found.full[0] * width - 0.5,
                found.y / found.full[1] * height - 0.5,
                found.label,
                index=found.index,
                image_index=found.image_index,
                time_s=found.time_s,
                object_id=found.object_id,
            )
        )

    def _reaches_outside(self, found: CoordinatePair) -> bool:
        if not (0 <= found.x <= found.full[0] and 0 <= found.y <= found.full[1]):
            allowed = _RANGES.get(found.full, "the image")
            self.problems.add(f"a point is outside {allowed}", f"x={found.x:g} y={found.y:g}")
            return True
        if found.image_index >= len(self._sizes):
            self.problems.add("a point is in an image that was not given", f"image {found.image_index + 1}")
            return True
        return False

    def _knows(self, found: CoordinatePair) -> bool:
        earlier = self._before is not None and self._before._knows(found)
        return earlier or (*found.place, found.label) in self._named

    def _repeats_elsewhere(self, found: CoordinatePair) -> bool:
        """Tell whether a point of another tag has this place, while the own label may still become the same."""
        return not found.settled and self._tag(found.place) not in (None, found.tag + self._offset)

    def _tag(self, place: tuple[object, ...]) -> int | None:
        tag = self._tag_of.get(place)
        return self._before._tag(place) if tag is None and self._before is not None else tag
