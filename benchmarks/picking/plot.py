"""Chart of the pick benchmark: success of each variant with its interval, and wrong objects lifted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.figure_style import OURS, PEERS, WRONG, new_figure, save_figure


def plot_picks(variants: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write a bar for each variant as PNG.

    Args:
        variants: Summaries of `molmo_point.evaluation.picks`, by name; the first one is the product.
        path: File to write.
    """
    figure, axes = new_figure(1, 1, (8.0, 1.4 + 0.55 * len(variants)))
    axis, names = axes[0, 0], list(variants)
    for place, figures in enumerate(variants.values()):
        success, wrong = figures["success"], figures["wrong_object"]
        share = 100 * success["share"]
        axis.barh(place, share, height=0.55, color=PEERS[0] if place else OURS)
        axis.barh(place, 100 * wrong["share"], left=share, height=0.55, color=WRONG)
        spread = [[share - 100 * success["low"]], [100 * success["high"] - share]]
        axis.errorbar(share, place, xerr=spread, color="black", capsize=3, linewidth=1)
        failures = ", ".join(f"{reason.lower().replace('_', ' ')} {n}" for reason, n in list(figures["failures"].items())[:3])
        axis.text(1, place + 0.42, f"of {success['trials']}: {failures or 'no failures'}", fontsize=8, color="#5c6470")
        axis.text(102, place, f"{share:.1f} %", va="center")
    axis.set(xlim=(0, 100), xlabel="%", title="Picks that succeed, with 95 % intervals; orange: another object lifted")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    save_figure(figure, path)
