"""Answers as tables of text: aligned columns, units in the head."""

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from molmo_point.cautions import Caution
from molmo_point.results import Count, ImagePoint, Pointing, Target
from molmo_point.viz.text import percent, shortened

_MAX_CELL, _MAX_CAUTION = 40, 300


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (1,)) -> list[str]:
    """Format the lines of a table; cells are aligned right, except in the columns `left`."""
    cells = [list(head), *[[shortened(cell, _MAX_CELL) for cell in row] for row in rows]]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for row in cells:
        spaces = [" " * (width - _width(cell)) for width, cell in zip(widths, row, strict=True)]
        parts = (cell + space if i in left else space + cell for i, (cell, space) in enumerate(zip(row, spaces, strict=True)))
        lines.append("  ".join(parts).rstrip())
    return [lines[0], "  ".join("─" * width for width in widths), *lines[1:]]


def _width(text: str) -> int:
    """Columns of the text in a terminal; East Asian letters take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pointing_lines(pointing: Pointing, written: Sequence[Path] = ()) -> list[str]:
    """Format the answer of `point`."""
    lines = _head(pointing)
    if pointing.found:
        head = ["#", "label", "u px", "v px", "conf", "x m", "y m", "z m", "σ mm", "depth"]
        rows = [_row(_cells(i, found.point, pointing.trusted), found.target) for i, found in enumerate(pointing)]
        lines += columns(head, rows, left=(1, 9))
        frames = {target.frame for target in pointing.targets}
        if frames:
            lines += ["", f"positions in {', '.join(sorted(frames))}; σ is one standard deviation along the least certain axis"]
    else:
        lines.append(nothing_found(pointing))
    reasons = dict.fromkeys(f"no position ({lost.reason.value}): {lost.message}" for lost in pointing.unreachable)
    return lines + _tail([*pointing.problems, *reasons], pointing.timing_ms, written)


def _head(answer: Pointing | Count) -> list[str]:
    limits = {"query": 100, "model": 100, "text": 160}
    query, model, text = (shortened(getattr(answer, name), limit) for name, limit in limits.items())
    return [f"query   {query}", f"model   {model}", f"answer  {text or '(empty)'}", *caution_lines(answer.cautions), ""]


def caution_lines(cautions: Iterable[Caution]) -> list[str]:
    """Format each caution in one line."""
    return [f"caution {shortened(str(caution), _MAX_CAUTION)}" for caution in cautions]


def nothing_found(pointing: Pointing) -> str:
    """Format an answer without points; a denial under caution is the model's, not a fact."""
    if not pointing.absent:
        return "the answer holds no point"
    said = "not in this image" if pointing.trusted else "the model sees none"
    return said + sureness(pointing.absent_probability, pointing.trusted)


def sureness(probability: float, trusted: bool) -> str:
    """Format a probability in brackets, with a claim only for a trusted answer; empty for NaN."""
    return f" ({percent(probability)}{' sure' if trusted else ''})" if math.isfinite(probability) else ""


def count_lines(count: Count, written: Sequence[Path] = ()) -> list[str]:
    """Format the answer of `count`."""
    lines = [*_head(count), f"count   {count.count}{sureness(count.confidence, count.trusted)}"]
    problems = []
    if not count.consistent and count.trusted:
        stated = "no readable number" if count.stated_count is None else f"a total of {count.stated_count}"
        problems.append(f"not consistent: the text states {stated}, and has {len(count.points)} points")
    if count.points:
        rows = [_cells(number, point, count.trusted) for number, point in enumerate(count.points)]
        lines += ["", *columns(["#", "label", "u px", "v px", "conf"], rows)]
    return lines + _tail([*problems, *count.problems], count.timing_ms, written)


def _cells(number: int, point: ImagePoint, trusted: bool) -> list[str]:
    confidence = percent(point.confidence) if math.isfinite(point.confidence) else "–"
    if not trusted and math.isfinite(point.confidence):
        confidence = f"({confidence})"
    return [str(number + 1), point.label, f"{point.u:.1f}", f"{point.v:.1f}", confidence]


def _row(cells: list[str], target: Target | None) -> list[str]:
    if target is None:
        return [*cells, "–", "–", "–", "–", "no position"]
    depth = target.depth_status.value
    if math.isfinite(target.alternate_depth_m):
        depth += f" (or {target.alternate_depth_m:.3f} m)"
    return [*cells, *(f"{value:+.4f}" for value in target.position_m), f"{target.sigma_m * 1e3:.1f}", depth]


def _tail(problems: Sequence[str], timing_ms: Mapping[str, float], written: Sequence[Path]) -> list[str]:
    lines = [f"note    {shortened(problem, 200)}" for problem in problems]
    times = dict(timing_ms)
    if times:
        total = times.pop("total", None)
        parts = ", ".join(f"{name} {value:.0f}" for name, value in times.items() if math.isfinite(value))
        lines.append(f"time    {f'{total:.0f} ms ({parts})' if total is not None else f'{parts} ms'}")
    lines += [f"wrote   {path}" for path in written]
    return ["", *lines] if lines else []
