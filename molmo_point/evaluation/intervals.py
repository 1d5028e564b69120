"""Confidence intervals of measured shares, and tables of figures."""

import math
from collections.abc import Iterable, Sequence
from typing import Any


def wilson(successes: float, trials: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of a share, 0…1, at a normal quantile `z` (95 % by default); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def share(values: list[bool]) -> dict[str, float]:
    """Share of true values with its 95 % interval and the number of trials; NaN without trials."""
    low, high = wilson(sum(values), len(values))
    return {"share": sum(values) / len(values) if values else math.nan, "low": low, "high": high, "trials": len(values)}


def figure_row(name: str, value: Any, number: str) -> tuple[object, ...]:
    """Cells of a figure: name, value, 95 % interval and trials of a `share`; other numbers in the format `number`."""
    if not isinstance(value, dict):
        return name, format(value, number), "", ""
    between = f"{100 * value['low']:.1f} to {100 * value['high']:.1f} %"
    return name, f"{100 * value['share']:.1f} %", between, value["trials"]


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a Markdown table."""
    lines = ["|" + "".join(f" {cell} |" if cell != "" else " |" for cell in row) for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
