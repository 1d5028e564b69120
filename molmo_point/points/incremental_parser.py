"""Parser of an answer that is still being written."""

from collections.abc import Sequence

from molmo_point.points.answer import Size, checked_text
from molmo_point.points.dialects import dialect_of
from molmo_point.points.dialects.dialect import Dialect
from molmo_point.points.parse import PointTokenLayout, chosen_dialect, sizes_of
from molmo_point.points.pixel_points import Collector
from molmo_point.points.tags import last_tag
from molmo_point.results import ImagePoint

_SMALL = 2048
"""Characters of an unfinished tag up to which every piece is read when it comes."""


class IncrementalParser:
    """A parser that reads an answer piece by piece.

    Points come in the order of the text. Their place, number and existence never change later. A
    label behind the coordinates is missing when its point is told; `points` has it later. The work
    is linear in the text, however small the pieces are. Only the unfinished tag at the end is read
    again; beyond 2048 characters it is read each time that it has grown by a sixteenth.

    Args:
        size_wh: As `parse_answer`.
        dialect: As `parse_answer`; "auto" decides as soon as the text shows it.
        layout: As `parse_answer`.
        eager: Whether a number that can have no more digits is read without waiting for what follows it.

    Raises:
        InputError: As `parse_answer`.
    """

    def __init__(
        self,
        size_wh: Size | Sequence[Size] | None,
        dialect: str | Dialect = "molmo",
        *,
        layout: PointTokenLayout | None = None,
        eager: bool = False,
    ) -> None:
        self._eager = eager
        self._sizes = sizes_of(size_wh, dialect, layout)
        self._layout = layout
        self._named = dialect
        self._dialect = chosen_dialect("", dialect, layout)
        self._settled = Collector(self._sizes)
        self._end: list[ImagePoint] = []
        self._told = 0
        self._tail = ""
        self._offset = 0
        self._pieces: list[str] = []
        self._waiting = 0

    @property
    def points(self) -> tuple[ImagePoint, ...]:
        """All points so far, with the labels that are known by now."""
        return (*self._settled.points, *self._end)

    def feed(self, piece: str) -> tuple[ImagePoint, ...]:
        """Read a further piece of the text, and return the points that it completes.

        Raises:
            InputError: The piece is not a string.
        """
        self._pieces.append(checked_text(piece))
        self._waiting += len(piece)
        grown = len(self._tail) + self._waiting
        if grown > _SMALL and self._waiting * 16 < len(self._tail):
            return ()
        return self._read(growing=True)

    def follow(self, text: str) -> tuple[ImagePoint, ...]:
        """Read the whole text so far, and return the points that are new.

        Raises:
            InputError: The text is not a string.
        """
        # A character whose bytes are not all there yet shows as U+FFFD, one or more, until they are.
        return self.feed(checked_text(text).rstrip("\ufffd")[self._offset + len(self._tail) + self._waiting :])

    def finish(self) -> tuple[ImagePoint, ...]:
        """Return the points that waited for the end of the text; nothing can be fed after this."""
        return self._read(growing=False)

    def _read(self, *, growing: bool) -> tuple[ImagePoint, ...]:
        self._tail += "".join(self._pieces)
        self._pieces, self._waiting = [], 0
        self._dialect = self._dialect or chosen_dialect(self._tail, self._named, self._layout, growing=growing)
        syntax = self._dialect or dialect_of("molmo")
        tag = last_tag(self._tail)
        if tag is not None and tag.start():
            later = Collector(self._sizes, self._settled, self._offset)
            # With the name behind it, the part before knows that it is complete.
            later.read(syntax.find_points, self._tail[: tag.end() + 1])
            self._settled.join(later)
            self._tail, self._offset = self._tail[tag.start() :], self._offset + tag.start()
        end = Collector(self._sizes, self._settled, self._offset)
        tail = syntax.closed(self._tail) if self._eager and growing else self._tail
        end.read(syntax.find_points, tail, growing=growing)
        self._end = end.points
        settled = len(self._settled.points)
        fresh = (*self._settled.points[self._told :], *self._end[max(0, self._told - settled) :])
        self._told = settled + len(self._end)
        return fresh
