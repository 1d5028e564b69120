"""Writer of points and tracks as Molmo2 was trained to write them."""

import math
from collections.abc import Mapping, Sequence

from molmo_point.errors import InputError
from molmo_point.points.dialects.written import ABSENT_TEXT, STYLES

NO_TRACKS_TEXT = "No tracks available."


def format_molmo2_points(groups: Mapping[float, Sequence[Sequence[float]]], label: str, style: str = "pointing") -> str:
    """The answer text of Molmo2 for points in images, or in moments of a video.

    Args:
        groups: Points, (n, 2) x and y in percent, by the number of their image from 0 (an int) or
            by their time in seconds (a float). Ids run on over all of them, within a group from
            left to right.
        label: What the points show, written into the text as it is.
        style: "pointing" (the tag alone) or "point_count" (a sentence with the total).

    Returns:
        For example ``<points coords="1 1 555 169;2 2 649 154">dogs</points>``; ``There are none.``
        without points.

    Raises:
        InputError: For an unknown style, a point outside 0 to 100 percent, or a group that is
            neither an image nor a time.
    """
    if style not in STYLES:
        raise InputError("The answer style is unknown", repr(style), f"use one of {', '.join(STYLES)}")
    total, written = 0, []
    for group in sorted(groups):
        points = sorted(_checked(point) for point in groups[group])
        numbers = [f"{total + i} {_thousandths(x)} {_thousandths(y)}" for i, (x, y) in enumerate(points, 1)]
        total += len(points)
        if points:
            written.append(" ".join([_group(group), *numbers]))
    if not total:
        return ABSENT_TEXT
    tag = f'<points coords="{";".join(written)}">{label}</points>'
    return tag if style == "pointing" else f"Counting the {tag} shows a total of {total}."


def format_molmo2_tracks(frames: Mapping[float, Mapping[int, Sequence[float]]], label: str) -> str:
    """The answer text of Molmo2 for objects that are followed through a video.

    Args:
        frames: By time in seconds the (x, y) in percent of every object that is seen, by its id.
        label: What the objects are.

    Returns:
        For example ``<tracks coords="0.0 1 635 522;0.5 1 606 490">dogs</tracks>``; ``No tracks
        available.`` without objects.

    Raises:
        InputError: For a point outside 0 to 100 percent, an id below 0, or a time below 0.
    """
    written = []
    for time_s in sorted(frames):
        numbers = []
        for number, point in sorted(frames[time_s].items()):
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise InputError("An object's id must be a whole number from 0", repr(number), "count the objects from 1")
            x, y = _checked(point)
            numbers.append(f"{number} {_thousandths(x)} {_thousandths(y)}")
        if numbers:
            written.append(" ".join([_group(float(time_s)), *numbers]))
    return f'<tracks coords="{";".join(written)}">{label}</tracks>' if written else NO_TRACKS_TEXT


def _thousandths(percent: float) -> str:
    return f"{round(percent * 10):03d}"


def _group(group: float) -> str:
    """The number of an image from 1, or a time with one decimal."""
    if isinstance(group, bool) or not isinstance(group, (int, float)) or not 0 <= group < math.inf:
        raise InputError("A group of points is an image or a time", repr(group), "give an int from 0 or seconds as a float")
    return str(group + 1) if isinstance(group, int) else f"{group:.1f}"


def _checked(point: Sequence[float]) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in point)
    except (TypeError, ValueError) as error:
        raise InputError("A point must be two numbers", repr(point), "give (x, y) in percent") from error
    if not (0 <= x <= 100 and 0 <= y <= 100):
        raise InputError("A point must lie within 0 to 100 percent", f"({x:g}, {y:g})", "divide pixels by the image size")
    return x + 0.0, y + 0.0
