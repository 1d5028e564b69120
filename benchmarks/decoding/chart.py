"""Figure of the decoding benchmark: first point, passes, long answers, several questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figure_style import OURS, PEERS, new_figure, save_figure, set_title

_Line = Mapping[str, Any]
_COLORS: Any = dict.fromkeys(("ours", "drafts", "one batch"), OURS) | dict.fromkeys(("plain", "one by one"), PEERS[0])
_COLORS |= {"naive": PEERS[1], "n-grams": PEERS[1], "last answer": PEERS[2]}
_PASSES = {"plain": "plain", "n-grams": "n-grams", "template and fans": "drafts", "last answer, motion 0.05 %": "last answer"}
_POINTS = {"naive": "naive", "plain generate": "plain", "ours": "ours"}
_QUERIES = {"batch": "one batch", "one by one": "one by one"}


def draw_bench(path: Path, data: Mapping[str, Any]) -> None:
    """Draw the report.

    Args:
        path: PNG to write.
        data: From `benchmarks.decoding.report.as_data`; a missing section leaves its panel empty.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    subject, machine = data["subject"], data["machine"]
    sections = {section["name"]: section["lines"] for section in data["sections"]}
    figure, axes = new_figure(2, 2, (16, 10))
    about = f"{machine['device']}, {machine['cores']} cores, load {machine['load average']}. Medians of {subject['rounds']}."
    figure.suptitle(f"Decoding: {subject['model']}, {subject['precision']}\n{about}", x=0.01, ha="left", fontsize=13)
    _bars(axes[0, 0], "One question: milliseconds from frame to tokens", sections.get("first_point", ()))
    title = "Forward passes after the prefill, by points of the answer (scripted)"
    _curves(axes[0, 1], title, _grouped(sections.get("passes", ()), "passes", _PASSES), "points", "passes")
    title = "Answers with many points: seconds from frame to tokens (scripted)"
    _curves(axes[1, 0], title, _grouped(sections.get("points", ()), "median_ms", _POINTS, 1e-3), "points", "s")
    title = "Several questions about one frame: milliseconds for all answers"
    _curves(axes[1, 1], title, _grouped(sections.get("queries", ()), "median_ms", _QUERIES), "questions", "ms")
    save_figure(figure, path)


def _bars(axis: Any, title: str, lines: Sequence[_Line]) -> None:
    set_title(axis, title)
    names, values = [line["name"] for line in lines], [line["median_ms"] for line in lines]
    bars = axis.barh(names, values, color=[OURS if name.startswith("ours") else PEERS[0] for name in names], height=0.65)
    axis.bar_label(bars, [f"{value:.0f}" for value in values], padding=4)
    axis.margins(x=0.1)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)


def _curves(axis: Any, title: str, curves: Mapping[str, Sequence[tuple[float, float]]], x_title: str, y_title: str) -> None:
    set_title(axis, title)
    for name, points in curves.items():
        ours = _COLORS[name] == OURS
        axis.plot(*zip(*points), "o-", color=_COLORS[name], linewidth=2.6 if ours else 1.6, label=name, zorder=3 if ours else 2)
    axis.set_xlabel(x_title)
    axis.set_ylabel(y_title)
    axis.set_ylim(bottom=0)
    xs = sorted({x for points in curves.values() for x, _ in points})
    axis.set_xticks(xs, [f"{x:g}" for x in xs])
    if curves:
        axis.legend(frameon=False)


def _grouped(
    lines: Sequence[_Line], key: str, names: Mapping[str, str], scale: float = 1.0
) -> dict[str, list[tuple[float, float]]]:
    """Collect lines named "<count> points, <variant>" as one curve of (count, value) for each named variant."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        head, _, variant = line["name"].partition(", ")
        if variant.startswith("in one frame, "):
            variant = variant.removeprefix("in one frame, ")
        if variant in names and line.get(key) is not None:
            found.setdefault(names[variant], []).append((float(head.split()[0]), line[key] * scale))
    return {name: sorted(points) for name, points in found.items()}
