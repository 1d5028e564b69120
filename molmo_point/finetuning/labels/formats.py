"""Formats of rows: PixMo's columns, checked, as annotations of one image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.finetuning.labels.row_images import RowError
from molmo_point.points.dialects.prompts import STYLES

MAX_POINTS = 40
"""Largest number of points that is taught; Molmo's training data were cut there, too."""
PLACEHOLDER = "<|POINT|>"
_OUTSIDE = 1.0  # percent by which a click at the border may be off
Size = Callable[[], tuple[int, int]]


@dataclass(frozen=True)
class PointLabels:
    """All objects of a kind in an image.

    Attributes:
        label: Name of the kind.
        percent: (n, 2) x and y, percent of width and height; None if only the number is known.
        count: Number of objects.
        boxes: (n, 4) left, top, right and bottom of every object in percent; None if only points are known.
    """

    label: str
    percent: FloatArray | None
    count: int
    boxes: FloatArray | None = None


@dataclass(frozen=True)
class Caption:
    """A description, and perhaps the same as people said it aloud."""

    text: str
    transcripts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """A question whose answer points while it explains.

    Attributes:
        question: The question.
        response: The answer with a `PLACEHOLDER` for each tag.
        tags: For every placeholder (inline text, alt text, points (n, 2) in percent).
    """

    question: str
    response: str
    tags: tuple[tuple[str, str, FloatArray], ...]


@dataclass(frozen=True)
class Answered:
    """A question with its answer, in one of `points.dialects.prompts.STYLES`."""

    question: str
    answer: str
    style: str


Annotation = PointLabels | Caption | Explanation | Answered


def points_of(row: dict[str, Any], unit: str, size: Size) -> PointLabels:
    """Read a row of pixmo-points: ``label``, ``points`` (list of {x, y}), ``count``; or ``boxes``, whose middles are points."""
    label = _text(row, "label").lower()
    boxes = _boxes(row["boxes"], unit, size) if row.get("boxes") is not None else None
    if boxes is not None and row.get("points") is None:
        percent = boxes.reshape(-1, 2, 2).mean(1)
    else:
        percent = _percent(_pairs(row.get("points"), "points"), unit, size)
    if boxes is not None and len(boxes) != len(percent):
        raise RowError(f"there are {len(boxes)} boxes, but {len(percent)} points")
    count = _count(row)
    if count is not None and count != len(percent):
        raise RowError(f"`count` is {count}, but there are {len(percent)} points")
    if len(percent) > MAX_POINTS:
        raise RowError(f"{len(percent)} points are more than {MAX_POINTS}")
    return PointLabels(label, percent, len(percent), boxes)


def count_of(row: dict[str, Any], unit: str, size: Size) -> PointLabels:
    """Read a row of pixmo-count: ``label``, ``count``, and in the training split ``points`` {x: […], y: […]}."""
    if row.get("points") is not None and _pairs(row["points"], "points"):
        return points_of(row, unit, size)
    label, count = _text(row, "label").lower(), _count(row)
    if count is None:
        raise RowError("the row has neither `count` nor `points`")
    if count > MAX_POINTS:
        raise RowError(f"a count of {count} is more than {MAX_POINTS}")
    return PointLabels(label, None if count else np.zeros((0, 2)), count)


def caption_of(row: dict[str, Any], unit: str, size: Size) -> Caption:
    """Read a row of pixmo-cap: ``caption``, ``transcripts`` (list of texts, may be missing)."""
    transcripts = row.get("transcripts")
    if transcripts is not None and (not isinstance(transcripts, list) or not all(isinstance(text, str) for text in transcripts)):
        raise RowError("`transcripts` must be a list of texts")
    return Caption(_text(row, "caption"), tuple(text.strip() for text in transcripts or () if text.strip()))


def explanation_of(row: dict[str, Any], unit: str, size: Size) -> Explanation:
    """Read a row of pixmo-point-explanations: ``question``, ``parsed_response``, ``points``, ``inline_text``, ``alt_text``."""
    question, response = _text(row, "question"), _text(row, "parsed_response")
    lists = [row.get(name) for name in ("inline_text", "alt_text", "points")]
    wanted = response.count(PLACEHOLDER)
    for name, given in zip(("inline_text", "alt_text", "points"), lists):
        if not isinstance(given, list) or len(given) != wanted:
            given_n = len(given) if isinstance(given, list) else type(given).__name__
            raise RowError(f"`parsed_response` has {wanted} {PLACEHOLDER}, so `{name}` must be a list of {wanted}, not {given_n}")
    tags = []
    for inline, alt, pairs in zip(*lists):  # type: ignore[arg-type]
        if not isinstance(inline, str) or not isinstance(alt, str):
            raise RowError("`inline_text` and `alt_text` must be lists of texts")
        percent = _percent(_pairs(pairs, "points"), unit, size)
        if not len(percent):
            raise RowError(f"a {PLACEHOLDER} has no points")
        tags.append((inline, alt, percent))
    return Explanation(question, response, tuple(tags))


def answered_of(row: dict[str, Any], unit: str, size: Size) -> Answered:
    """Read a row of pixmo-ask-model-anything, or a user's: ``question``, ``answer``, perhaps ``style``."""
    style = row.get("style") or "user_qa"
    if style not in STYLES:
        raise RowError(f"`style` {style!r} is none of Molmo's: {', '.join(STYLES)}")
    return Answered(_text(row, "question"), _text(row, "answer"), str(style))


FORMATS: dict[str, Callable[[dict[str, Any], str, Size], Annotation]] = {
    "points": points_of,
    "count": count_of,
    "cap": caption_of,
    "explanations": explanation_of,
    "qa": answered_of,
}
"""Reader of a row, by the name of its format."""
UNITS = {"points": "percent", "count": "pixels", "cap": "percent", "explanations": "percent", "qa": "percent"}
"""Unit of the points of a format, as PixMo has them."""
COLUMNS = (
    "image", "image_url", "image_sha256", "label", "points", "boxes", "count", "caption", "transcripts", "question", "answer",
    "style", "parsed_response", "inline_text", "alt_text",
)  # fmt: skip
"""All columns that any format reads."""


def format_of(row: dict[str, Any]) -> str:
    """Tell the format of a row from the names of its columns; RowError if they are those of no format."""
    if "parsed_response" in row:
        return "explanations"
    if "caption" in row:
        return "cap"
    if "question" in row and "answer" in row:
        return "qa"
    if "label" in row:
        # pixmo-count has columns of x and y, and no points at all where people only counted
        return "points" if isinstance(row.get("points"), list) or row.get("boxes") is not None else "count"
    raise RowError(f"its columns ({', '.join(map(str, row)) or 'none'}) are those of no format: {', '.join(FORMATS)}")


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"`{name}` must be a text that is not empty" + ("" if value is None else f", not {value!r}"))
    return value.strip()


def _count(row: dict[str, Any]) -> int | None:
    count = row.get("count")
    if count is None:
        return None
    if isinstance(count, bool) or not isinstance(count, (int, float)) or count != int(count) or count < 0:
        raise RowError(f"`count` must be a whole number from 0, not {count!r}")
    return int(count)


def _pairs(points: Any, name: str) -> list[tuple[Any, Any]]:
    """Read pairs (x, y) from {x: […], y: […]}, [{x, y}, …] or [[x, y], …]."""
    if isinstance(points, dict) and isinstance(points.get("x"), list) and isinstance(points.get("y"), list):
        if len(points["x"]) != len(points["y"]):
            raise RowError(f"`{name}` has {len(points['x'])} x and {len(points['y'])} y")
        return list(zip(points["x"], points["y"]))
    if not isinstance(points, list):
        raise RowError(f"`{name}` must be a list of {{x, y}}, empty if there is no such object, not {type(points).__name__}")
    pairs = []
    for point in points:
        if isinstance(point, dict) and {"x", "y"} <= point.keys():
            pairs.append((point["x"], point["y"]))
        elif isinstance(point, (list, tuple)) and len(point) == 2:
            pairs.append((point[0], point[1]))
        else:
            raise RowError(f"a point must be {{x, y}}, not {point!r}")
    return pairs


def _boxes(boxes: Any, unit: str, size: Size) -> FloatArray:
    """Return boxes (n, 4) in percent, from lists of left, top, right and bottom."""
    if not isinstance(boxes, list) or not all(isinstance(box, (list, tuple)) and len(box) == 4 for box in boxes):
        raise RowError("`boxes` must be a list of [left, top, right, bottom], empty if there is no such object")
    corners = _percent([pair for box in boxes for pair in (tuple(box[:2]), tuple(box[2:]))], unit, size).reshape(-1, 4)
    flat = np.nonzero((corners[:, 2:] <= corners[:, :2]).any(1))[0]
    if len(flat):
        raise RowError(f"right and bottom of a box must be larger than left and top: {boxes[int(flat[0])]}")
    return corners


def _percent(pairs: list[tuple[Any, Any]], unit: str, size: Size) -> FloatArray:
    """Return points (n, 2) in percent; points slightly outside move to the border."""
    strange = [v for pair in pairs for v in pair if isinstance(v, bool) or not isinstance(v, (int, float))]
    if strange:
        raise RowError(f"coordinates must be numbers, not {strange[0]!r}")
    values = np.array(pairs, np.float64).reshape(-1, 2)
    if unit == "pixels" and len(values):
        values = values / np.array(size(), np.float64) * 100
    inside = (values >= -_OUTSIDE) & (values <= 100 + _OUTSIDE)  # not-a-number is not inside
    if not inside.all():
        x, y = pairs[int(np.nonzero(~inside.all(1))[0][0])]
        limit = f"the image of {size()[0]} × {size()[1]} pixels" if unit == "pixels" else "0 to 100 percent"
        raise RowError(f"the point ({x:g}, {y:g}) lies outside {limit}")
    return values.clip(0, 100)
