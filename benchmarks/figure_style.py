"""Shared style of the benchmark figures: matplotlib without a screen, colors, files."""

from pathlib import Path
from typing import Any

from molmo_point.errors import DependencyError, InputError

OURS = "#007acc"
"""Color of this project; every other color belongs to its peers."""
PEERS = ("#949ca8", "#e48e3c", "#786cbe", "#5aaa82", "#cd5260", "#967a3c", "#464e5c")
WRONG = "#d65e00"
_STYLE: Any = {
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dde1e7",
    "savefig.dpi": 110,
}


def new_figure(rows: int, columns: int, size_in: tuple[float, float], **options: Any) -> tuple[Any, Any]:
    """Open a figure with a grid of axes in the shared style.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        size_in: Width and height in inches.
        options: Further arguments of `matplotlib.figure.Figure.subplots`.

    Returns:
        The figure, and its axes (rows, columns).

    Raises:
        DependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyError("Figures need matplotlib", str(error), "pip install 'molmo-point[bench]'") from error
    with matplotlib.rc_context(_STYLE):
        figure = Figure(size_in, layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def set_title(axis: Any, title: str) -> None:
    """Write a title over the left end of axes."""
    axis.set_title(title, loc="left", fontsize=12, fontweight="bold")


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        figure.savefig(path, format="png", dpi=_STYLE["savefig.dpi"])
    except OSError as error:
        raise InputError("--plot must be a file that can be written", f"{path}: {error}", "name another file") from error
