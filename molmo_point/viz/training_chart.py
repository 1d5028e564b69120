"""Curves of a training run: losses, read-outs of the vision, and scores of answers."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from molmo_point.dependencies import require_name
from molmo_point.files import read_file, written_whole

_WIDTH_IN, _HEIGHT_IN, _DPI = 12.0, 4.2, 110
_NAMES = {"token": "answers", "valid_token": "answers, kept out", "points_f1": "points (F1)"}


class _Panel(NamedTuple):
    title: str
    columns: tuple[str, ...]
    scale: float


_PANELS = (
    _Panel("Losses, means since the check before", ("token", "valid_token", "class_token", "position", "attention"), 1.0),
    _Panel(
        "Image tokens read out right, images kept out of training, %",
        ("see_color", "see_noun", "see_category", "see_shape"),
        100.0,
    ),
    _Panel(
        "Scores of answers by kind of question, images kept out of training, %",
        ("points_f1", "color_name", "name", "category", "relation", "superlative", "count", "absent", "short"),
        100.0,
    ),
)


def training_chart(rows: Sequence[dict[str, float]]) -> Any:
    """Draw the log of a run.

    Args:
        rows: One for every check, with ``images`` and any logged values; columns may be missing from some, or NaN.

    Returns:
        A Matplotlib figure, one panel below the other; panels without values are left out.

    Raises:
        DependencyError: Matplotlib is not installed.
    """
    new_figure = require_name("matplotlib.figure:Figure", "The chart of a run", "train")
    panels = []
    for panel in _PANELS:
        lines = {
            _NAMES.get(name, name.removeprefix("see_").replace("_", " ")): points
            for name in panel.columns
            if (points := [(r["images"], panel.scale * r[name]) for r in rows if not math.isnan(r.get(name, math.nan))])
        }
        if lines:
            panels.append((panel.title, lines))
    figure = new_figure((_WIDTH_IN, _HEIGHT_IN * max(len(panels), 1)), dpi=_DPI, layout="constrained")
    last = max((row["images"] for row in rows), default=1.0)
    for axes, (title, lines) in zip(figure.subplots(max(len(panels), 1), squeeze=False)[:, 0], panels, strict=False):
        for name, points in lines.items():
            axes.plot(*zip(*points, strict=True), marker=".", label=name)
        axes.set(title=title, xlabel="images", xlim=(0, last), ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def draw_curves(out: Path) -> None:
    """Draw ``curves.png`` of the ``log.csv`` in the folder of a run.

    Raises:
        DependencyError: Matplotlib is not installed.
    """
    lines = read_file(out / "log.csv").decode().splitlines()
    rows = [{name: float(value) for name, value in row.items() if _is_number(value)} for row in csv.DictReader(lines)]
    with written_whole(out / "curves.png", suffix=".png") as part:
        training_chart(rows).savefig(part, metadata={"Software": "molmo-point"})


def _is_number(value: str) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
