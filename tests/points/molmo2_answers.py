"""Answers as Molmo2 was trained to write them, for the tests of its parser."""

from collections.abc import Mapping, Sequence

from molmo_point.points.dialects.written import ABSENT_TEXT


def points_answer(groups: Mapping[float, Sequence[Sequence[float]]], label: str, style: str = "pointing") -> str:
    """Write points in percent by the number of their image from 0 (int) or their time in seconds (float)."""
    total, written = 0, []
    for group in sorted(groups):
        points = sorted((x + 0.0, y + 0.0) for x, y in groups[group])
        numbers = [f"{total + i} {_thousandths(x)} {_thousandths(y)}" for i, (x, y) in enumerate(points, 1)]
        total += len(points)
        if points:
            written.append(" ".join([str(group + 1) if isinstance(group, int) else f"{group:.1f}", *numbers]))
    if not total:
        return ABSENT_TEXT
    tag = f'<points coords="{";".join(written)}">{label}</points>'
    return tag if style == "pointing" else f"Counting the {tag} shows a total of {total}."


def tracks_answer(frames: Mapping[float, Mapping[int, Sequence[float]]], label: str) -> str:
    """Write the (x, y) in percent of every object by its id, by the time of the frame in seconds."""
    written = []
    for time_s in sorted(frames):
        numbers = [f"{number} {_thousandths(x)} {_thousandths(y)}" for number, (x, y) in sorted(frames[time_s].items())]
        if numbers:
            written.append(" ".join([f"{float(time_s):.1f}", *numbers]))
    return f'<tracks coords="{";".join(written)}">{label}</tracks>' if written else "No tracks available."


def _thousandths(percent: float) -> str:
    return f"{round(percent * 10):03d}"
