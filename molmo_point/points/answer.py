"""Content of an answer, and the coordinate pairs that dialects read from it."""

import math
from dataclasses import dataclass

from molmo_point.errors import InputError
from molmo_point.results import ImagePoint

Span = tuple[int, int]
Size = tuple[float, float]

_ONE = "give (width, height) in pixels, e.g. frame.size_wh, or a list of such pairs for several images"


@dataclass(frozen=True)
class ParsedAnswer:
    """Content of an answer.

    Attributes:
        points: Points in the order of the text, without repeats.
        absent: True when the text denies the object and there are no points.
        stated_count: N of "a total of N", "There are N", or of an answer that ends in a number;
            0 when absent; None without a number, or with several different ones.
        problems: Unusable parts, in words; empty without any.
        truncated: True when the text stops inside a tag or before the total it announces.
        spans: Places (start, end) of the x and y numbers of each point in the text. MolmoPoint's
            points have the place of the patch token, and that of the two tokens after it.
        dialect: Name of the dialect that it was read as.
        full: Numbers that make up the width and the height of an image in that dialect.
        lost: The problems that lose a point, contradict the rest, or leave no answer.
    """

    points: tuple[ImagePoint, ...]
    absent: bool
    stated_count: int | None
    problems: tuple[str, ...]
    truncated: bool
    spans: tuple[tuple[Span, Span], ...] = ()
    dialect: str = "molmo"
    full: Size = (100.0, 100.0)
    lost: tuple[str, ...] = ()

    @property
    def object_count(self) -> int:
        """Number of objects: every point counts, and a tracked object counts once."""
        followed = {(p.label, p.object_id) for p in self.points if _is_followed(p)}
        return len(followed) + sum(1 for p in self.points if not _is_followed(p))

    @property
    def consistent(self) -> bool:
        """False when the stated count differs from the points, or the answer is cut off or unreadable."""
        understood = bool(self.points) or self.absent or self.stated_count is not None
        return understood and not self.truncated and self.stated_count in (None, self.object_count)


@dataclass(frozen=True)
class CoordinatePair:
    """A coordinate pair of the text.

    Attributes:
        x: Horizontal coordinate; `full[0]` is the width of the image.
        y: Vertical coordinate; `full[1]` is the height of the image.
        x_span: Place (start, end) of x in the text.
        y_span: Place (start, end) of y in the text.
        tag: Start of its tag; -1 outside tags.
        settled: False while more text could still change the label.
        followed: True in a track, which has an object once at every time.
    """

    x: float
    y: float
    x_span: Span
    y_span: Span
    label: str = ""
    index: int | None = None
    full: Size = (100.0, 100.0)
    image_index: int = 0
    time_s: float = math.nan
    object_id: int | None = None
    tag: int = -1
    settled: bool = True
    followed: bool = False

    @property
    def place(self) -> tuple[object, ...]:
        """Key that points have in common when one repeats the other under the same label."""
        time = None if math.isnan(self.time_s) else self.time_s
        where = (self.object_id,) if self.followed else (self.x, self.y)
        return (self.image_index, time, self.followed, *where)


class Problems:
    """Counter of problems by kind, which turns a megabyte of garbage into a handful of messages."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[int, str]] = {}
        self._harmless: set[str] = set()

    def add(self, kind: str, example: str = "", *, harmless: bool = False) -> None:
        """Count a problem; a harmless one loses no point."""
        count, first = self._kinds.get(kind, (0, example[:60]))
        self._kinds[kind] = (count + 1, first)
        if harmless:
            self._harmless.add(kind)

    def messages(self, *, harmless: bool = True) -> tuple[str, ...]:
        """Return a message for each kind, without the harmless ones if those are not wanted."""
        return tuple(
            kind + (f" ({count} times)" if count > 1 else "") + (f": {first}" if first else "")
            for kind, (count, first) in self._kinds.items()
            if harmless or kind not in self._harmless
        )


def checked_text(text: object) -> str:
    """Return the text.

    Raises:
        InputError: It is not a string.
    """
    if not isinstance(text, str):
        raise InputError("text must be a string", type(text).__name__, "give the model's text as str")
    return text


def checked_sizes(size_wh: object) -> tuple[Size, ...]:
    """Return the sizes of all images from one (width, height) or a sequence of them.

    Raises:
        InputError: It is neither, or a side is not above zero.
    """
    if _is_size(size_wh):
        return ((size_wh[0], size_wh[1]),)  # pyright: ignore[reportIndexIssue]
    try:
        sizes = tuple(size_wh)  # pyright: ignore[reportArgumentType]
    except TypeError:
        sizes = ()
    if not sizes or not all(_is_size(size) for size in sizes):
        raise InputError("size_wh must be a width and a height above zero", repr(size_wh)[:200], _ONE)
    return tuple((size[0], size[1]) for size in sizes)


def _is_size(size: object) -> bool:
    try:
        width, height = size  # pyright: ignore[reportGeneralTypeIssues]
        return all(math.isfinite(side) and side > 0 for side in (width, height))
    except (TypeError, ValueError, OverflowError):
        return False


def _is_followed(point: ImagePoint) -> bool:
    return point.object_id is not None and not math.isnan(point.time_s)
