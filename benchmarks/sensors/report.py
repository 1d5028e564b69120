"""Table of the statistics of real and simulated frames."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Figures = Mapping[str, Any]

COLUMNS: dict[str, tuple[Callable[[Figures], float | None], str]] = {
    "hole left, px": (lambda f: f["sides"]["left"]["hole_px"], ".1f"),
    "right": (lambda f: f["sides"]["right"]["hole_px"], ".1f"),
    "top": (lambda f: f["sides"]["top"]["hole_px"], ".1f"),
    "slope, px": (lambda f: _mean(f["sides"][side]["flank_px"] for side in f["sides"]), ".1f"),
    "growth left, px": (lambda f: f["sides"]["left"]["growth_px"], "+.0f"),
    "right ": (lambda f: f["sides"]["right"]["growth_px"], "+.0f"),
    "top ": (lambda f: f["sides"]["top"]["growth_px"], "+.0f"),
    "residual, px": (lambda f: f["residual_px"], ".3f"),
    "correlation at 2 px": (lambda f: f["correlation"]["2"], ".2f"),
    "4 px": (lambda f: f["correlation"]["4"], ".2f"),
    "8 px": (lambda f: f["correlation"]["8"], ".2f"),
    "missing, %": (lambda f: 100 * f["missing"], ".0f"),
    "flicker, %": (lambda f: None if f["flicker"] is None else 100 * f["flicker"], ".1f"),
}
"""Columns of the table: the value of a frame's figures, and its format."""


def overview(frames: Sequence[Figures]) -> dict[str, list[float] | None]:
    """Return 10 %, median and 90 % of each column over frames; None for a column without values."""
    found: dict[str, list[float] | None] = {}
    for name, (value, _) in COLUMNS.items():
        values = [each for each in map(value, frames) if each is not None]
        found[name] = [float(v) for v in np.quantile(values, [0.1, 0.5, 0.9])] if len(values) >= 3 else None
    return found


def table(found: Mapping[str, Any]) -> str:
    """Write Markdown: a row for each real frame, and median with 80 % range of each simulator."""
    rows = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, frame in found["real"].items():
        cells = [_cell(value(frame), form) for value, form in COLUMNS.values()]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    for name, spread in found["simulated"].items():
        cells = []
        for column, (_, form) in COLUMNS.items():
            values = spread[column]
            cells.append("" if values is None else f"{values[1]:{form}} ({values[0]:{form}} to {values[2]:{form}})")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
