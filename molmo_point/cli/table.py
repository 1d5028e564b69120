"""Answers as tables of text: aligned columns, units in the head."""

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from molmo_point.results import Count, ImagePoint, Pointing, Target

_MAX_CELL = 40


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (1,)) -> list[str]:
    """Format the lines of an aligned table.

    Args:
        head: One title per column.
        rows: Cells; they are aligned right, except in the columns of `left`.
        left: Indices of the columns that hold words.
    """
    cells = [list(head), *[[clean(cell) for cell in row] for row in rows]]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for row in cells:
        parts = []
        for i, cell in enumerate(row):
            space = " " * (widths[i] - _width(cell))
            parts.append(cell + space if i in left else space + cell)
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "  ".join("─" * width for width in widths))
    return lines


def clean(text: str, limit: int = _MAX_CELL) -> str:
    """Make one line without control characters, for a model's words in a terminal, cut at `limit` letters."""
    flat = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _width(text: str) -> int:
    """Columns of the text in a terminal; East Asian letters take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pointing_lines(pointing: Pointing, written: Sequence[Path] = ()) -> list[str]:
    """Format the answer of `point`."""
    lines = [f"query   {clean(pointing.query, 100)}", f"model   {clean(pointing.model, 100)}"]
    lines.append(f"answer  {clean(pointing.text, 160) or '(empty)'}")
    lines.append("")
    if pointing.found:
        head = ["#", "label", "u px", "v px", "conf", "x m", "y m", "z m", "σ mm", "depth"]
        rows = [_row(i, found.point, found.target) for i, found in enumerate(pointing)]
        lines += columns(head, rows, left=(1, 9))
        frames = {target.frame for target in pointing.targets}
        if frames:
            lines += ["", f"positions in {', '.join(sorted(frames))}; σ is one standard deviation along the least certain axis"]
    else:
        lines.append("not in this image" if pointing.absent else "the answer holds no point")
    lines += _tail([*pointing.problems, *_reasons(pointing)], pointing.timing_ms, written)
    return lines


def count_lines(count: Count, written: Sequence[Path] = ()) -> list[str]:
    """Format the answer of `count`."""
    lines = [f"query   {clean(count.query, 100)}", f"model   {clean(count.model, 100)}"]
    lines += [f"answer  {clean(count.text, 160) or '(empty)'}", "", f"count   {count.count}"]
    problems = []
    if not count.consistent:
        stated = "no readable number" if count.stated_count is None else f"a total of {count.stated_count}"
        problems.append(f"not consistent: the text states {stated}, and has {len(count.points)} points")
    if count.points:
        rows = [[str(i + 1), p.label, f"{p.u:.1f}", f"{p.v:.1f}", _percent(p.confidence)] for i, p in enumerate(count.points)]
        lines += ["", *columns(["#", "label", "u px", "v px", "conf"], rows)]
    return lines + _tail([*problems, *count.problems], count.timing_ms, written)


def _row(number: int, point: ImagePoint, target: Target | None) -> list[str]:
    row = [str(number + 1), point.label, f"{point.u:.1f}", f"{point.v:.1f}", _percent(point.confidence)]
    if target is None:
        return [*row, "–", "–", "–", "–", "no position"]
    depth = target.depth_status.value
    if math.isfinite(target.alternate_depth_m):
        depth += f" (or {target.alternate_depth_m:.3f} m)"
    return [*row, *(f"{value:+.4f}" for value in target.position_m), f"{target.sigma_m * 1e3:.1f}", depth]


def _reasons(pointing: Pointing) -> list[str]:
    """Reasons of points without a position, each once."""
    return list(dict.fromkeys(f"no position ({lost.reason.value}): {lost.message}" for lost in pointing.unreachable))


def _tail(problems: Sequence[str], timing_ms: Mapping[str, float], written: Sequence[Path]) -> list[str]:
    lines = [f"note    {clean(problem, 200)}" for problem in problems]
    times = dict(timing_ms)
    if times:
        total = times.pop("total", None)
        parts = ", ".join(f"{name} {value:.0f}" for name, value in times.items() if math.isfinite(value))
        lines.append(f"time    {f'{total:.0f} ms ({parts})' if total is not None else f'{parts} ms'}")
    lines += [f"wrote   {path}" for path in written]
    return ["", *lines] if lines else []


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"
