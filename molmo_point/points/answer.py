"""What an answer says, and what its dialects' readers hand over."""

import math
from dataclasses import dataclass

from molmo_point.errors import InputError
from molmo_point.results import ImagePoint

Span = tuple[int, int]
Size = tuple[float, float]

_ONE = "give (width, height) in pixels, e.g. frame.size_wh, or a list of such pairs for several images"


@dataclass(frozen=True)
class ParsedAnswer:
    """What an answer says.

    Attributes:
        points: The points in the order of the text, repeats dropped.
        absent: True when there are no points because the text says that there is nothing.
        stated_count: N of "a total of N", "There are N", or of an answer that ends in a number;
            0 when absent; None when no number is stated or several different ones are.
        problems: What could not be used, in words; empty when all could.
        truncated: True when the text stops inside a tag or before the total it announces.
        spans: For each point the (start, end) of its x and of its y number in the text; of a point
            in MolmoPoint's tokens that of the patch token, and that of the two tokens after it.
        dialect: Name of the dialect that it was read as.
    """

    points: tuple[ImagePoint, ...]
    absent: bool
    stated_count: int | None
    problems: tuple[str, ...]
    truncated: bool
    spans: tuple[tuple[Span, Span], ...] = ()
    dialect: str = "molmo"

    @property
    def object_count(self) -> int:
        """How many things were pointed at: points, but an object that is followed through time once."""
        followed = {(p.label, p.object_id) for p in self.points if _is_followed(p)}
        return len(followed) + sum(1 for p in self.points if not _is_followed(p))

    @property
    def consistent(self) -> bool:
        """False when the stated count is not that of the points, or the answer is cut off or unreadable."""
        understood = bool(self.points) or self.absent or self.stated_count is not None
        return understood and not self.truncated and self.stated_count in (None, self.object_count)


@dataclass(frozen=True)
class CoordinatePair:
    """A coordinate pair as it stands in the text.

    Attributes:
        x: In units of which `full[0]` make the image's width.
        y: In units of which `full[1]` make the image's height.
        x_span: Where x stands in the text.
        y_span: Where y stands in the text.
        tag: Start of the tag it is in; -1 outside tags.
        settled: False while more text could still change the label.
        followed: True in a track, where an object stands once at every time.
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
        """What two points that repeat each other under one label have in common."""
        time = None if math.isnan(self.time_s) else self.time_s
        where = (self.object_id,) if self.followed else (self.x, self.y)
        return (self.image_index, time, self.followed, *where)


class Problems:
    """Counts problems by kind, so that a megabyte of garbage gives a handful of messages."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, example: str = "") -> None:
        count, first = self._kinds.get(kind, (0, example[:60]))
        self._kinds[kind] = (count + 1, first)

    def messages(self) -> tuple[str, ...]:
        return tuple(
            kind + (f" ({count} times)" if count > 1 else "") + (f": {first}" if first else "")
            for kind, (count, first) in self._kinds.items()
        )


def checked_text(text: object) -> str:
    """The text, or an InputError when it is none."""
    if not isinstance(text, str):
        raise InputError("The answer must be text", type(text).__name__, "give the model's text as str")
    return text


def checked_sizes(size_wh: object) -> tuple[Size, ...]:
    """Sizes of all images from one (width, height) or a sequence of them.

    Raises:
        InputError: For anything else, and for sides that are not above zero.
    """
    if _is_size(size_wh):
        return ((size_wh[0], size_wh[1]),)  # pyright: ignore[reportIndexIssue]
    try:
        sizes = tuple(size_wh)  # pyright: ignore[reportArgumentType]
    except TypeError:
        sizes = ()
    if not sizes or not all(_is_size(size) for size in sizes):
        raise InputError("The image size must be a width and a height above zero", repr(size_wh)[:200], _ONE)
    return tuple((size[0], size[1]) for size in sizes)


def _is_size(size: object) -> bool:
    try:
        width, height = size  # pyright: ignore[reportGeneralTypeIssues]
        return all(math.isfinite(side) and side > 0 for side in (width, height))
    except (TypeError, ValueError, OverflowError):
        return False


def _is_followed(point: ImagePoint) -> bool:
    return point.object_id is not None and not math.isnan(point.time_s)
