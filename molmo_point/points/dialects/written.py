"""Official answer texts of Molmo v1, for training."""

from collections.abc import Sequence

from molmo_point.errors import InputError

ABSENT_TEXT = "There are none."
STYLES = ("pointing", "point_count")


def format_points(points_percent: Sequence[Sequence[float]], label: str, style: str = "pointing") -> str:
    """Write the official answer for a set of points.

    Points are sorted from left to right (by x, then y) and rounded to one decimal by Python's rule.

    Args:
        points_percent: (n, 2) x and y in percent of the image, 0 to 100; empty for an absent object.
        label: Label of the points, written unchanged.
        style: "pointing" (the tag alone) or "point_count" (a sentence with the total).

    Returns:
        For example ``<point x="61.5" y="40.4" alt="dog">dog</point>``, or ``There are none.``.

    Raises:
        InputError: The style is unknown, or a point is outside 0 to 100 percent.
    """
    if style not in STYLES:
        raise InputError("style must be known", repr(style), f"use one of {', '.join(STYLES)}")
    if len(points_percent) == 0:
        return ABSENT_TEXT
    tag = points_tag(points_percent, label)
    if style == "pointing":
        return tag
    return f"Counting the {tag} shows a total of {len(points_percent)}."


def points_tag(points_percent: Sequence[Sequence[float]], label: str, alt: str | None = None) -> str:
    """Write the ``<point>`` or ``<points>`` tag of one point or more.

    Args:
        points_percent: (n, 2) x and y in percent of the image, n > 0.
        label: Text inside the tag.
        alt: Alt text if it differs from the label, as in explanations; None means ``label``.

    Raises:
        InputError: There is no point, or a point is outside 0 to 100 percent.
    """
    if len(points_percent) == 0:
        raise InputError("A tag must have a point", "no points", "use format_points, which writes the absence")
    points = sorted((_checked(point) for point in points_percent), key=lambda p: p[0] * 10000 + p[1])
    alt = label if alt is None else alt
    if len(points) == 1:
        x, y = points[0]
        return f'<point x="{round(x, 1)}" y="{round(y, 1)}" alt="{alt}">{label}</point>'
    coordinates = " ".join(f'x{i}="{round(x, 1)}" y{i}="{round(y, 1)}"' for i, (x, y) in enumerate(points, 1))
    return f'<points {coordinates} alt="{alt}">{label}</points>'


def _checked(point: Sequence[float]) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in point)
    except (TypeError, ValueError) as error:
        raise InputError("A point must be two numbers", repr(point), "give (x, y) in percent") from error
    if not (0 <= x <= 100 and 0 <= y <= 100):
        raise InputError("A point must lie within 0 to 100 percent", f"({x:g}, {y:g})", "divide pixels by the image size")
    return x + 0.0, y + 0.0
