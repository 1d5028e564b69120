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
    return written_tag([(str(round(x, 1)), str(round(y, 1))) for x, y in points], label, alt)


def written_tag(coordinates: Sequence[tuple[str, str]], label: str, alt: str | None = None) -> str:
    """Write the tag of one point or more, in their order.

    Args:
        coordinates: x and y of each point as text, at least one.
        label: Text inside the tag.
        alt: Alt text if it differs from the label; None means ``label``.
    """
    alt = label if alt is None else alt
    if len(coordinates) == 1:
        x, y = coordinates[0]
        return f'<point x="{x}" y="{y}" alt="{alt}">{label}</point>'
    numbered = " ".join(f'x{i}="{x}" y{i}="{y}"' for i, (x, y) in enumerate(coordinates, 1))
    return f'<points {numbered} alt="{alt}">{label}</points>'


def _checked(point: Sequence[float]) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in point)
    except (TypeError, ValueError) as error:
        raise InputError("A point must be two numbers", repr(point), "give (x, y) in percent") from error
    if not (0 <= x <= 100 and 0 <= y <= 100):
        raise InputError("A point must lie within 0 to 100 percent", f"({x:g}, {y:g})", "divide pixels by the image size")
    return x + 0.0, y + 0.0
