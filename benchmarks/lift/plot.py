"""Figure of the lifting benchmark: gross errors of every estimator by kind of scene."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure_style import OURS, PEERS, new_figure, save_figure, set_title

_CELLS = (("rod", "sigma 3 px"), ("rod, 30 % holes", "sigma 6 px"), ("occluded", "sigma 3 px"))
_OURS_CENTER = "#8fbfe3"


def draw_gross_errors(path: Path, figures: dict[str, Any]) -> None:
    """Draw bars of the share of answers that are more than 20 mm off.

    Args:
        path: PNG to write.
        figures: From `benchmarks.lift.report.summary`.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    estimators = figures["estimators"]
    panels = [
        (f"{kind}, {sigma.replace('sigma', 'σ')}", [each["kinds"][kind][sigma]["gross"]["share"] for each in estimators.values()])
        for kind, sigma in _CELLS
        if kind in next(iter(estimators.values()))["kinds"]
    ]
    panels.append(("all scenes", [each["all"]["gross"]["share"] for each in estimators.values()]))
    figure, axes = new_figure(1, len(panels), (3.1 * len(panels) + 1.6, 0.32 * len(estimators) + 1.3), sharey=True)
    colors = [PEERS[1] if not name.startswith("molmo-point") else _OURS_CENTER if "cent" in name else OURS for name in estimators]
    percent = np.nan_to_num(100 * np.array([shares for _, shares in panels], float))
    for axis, (title, _), values in zip(axes[0], panels, percent, strict=True):
        bars = axis.barh(list(estimators), values, color=colors, height=0.7)
        axis.bar_label(bars, [f"{value:.1f}" for value in values], padding=3, fontsize=9)
        set_title(axis, title)
        axis.set_xlim(0, max(10.0, percent.max()) * 1.15)
        axis.xaxis.set_major_formatter("{x:.0f} %")
        axis.grid(axis="y", visible=False)
    axes[0][0].invert_yaxis()
    figure.supxlabel("answers more than 20 mm off the target", fontsize=10)
    save_figure(figure, path)
