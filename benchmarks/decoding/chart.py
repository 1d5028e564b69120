"""The benchmark's picture: four panels of what matters."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw

from benchmarks.chart import GROUND, SOFT, TEXT, Bar, Curve, bars, card, curves
from molmo_point.viz.text import font

_SIZE = (1760, 1180)
_MARGIN, _HEAD = 36, 118
_Line = Mapping[str, Any]


def draw_bench(data: Mapping[str, Any]) -> Image.Image:
    """Draws the report.

    Args:
        data: What `benchmarks.decoding.report.as_data` gives; sections that are missing
            leave their panel empty.
    """
    image = Image.new("RGB", _SIZE, GROUND)
    pen = ImageDraw.Draw(image)
    subject, machine = data["subject"], data["machine"]
    pen.text((_MARGIN, 26), f"molmo-point bench: {subject['model']}, {subject['precision']}", font=font(34), fill=TEXT)
    about = f"{machine['device']}, {machine['cores']} cores, load {machine['load average']}"
    pen.text((_MARGIN, 74), f"{about}. {subject['rounds']}; medians.", font=font(18), fill=SOFT)
    sections = {section["name"]: section["lines"] for section in data["sections"]}
    boxes = _boxes()
    room = card(image, boxes[0], "One question", "milliseconds from frame to tokens; shorter is better")
    bars(image, room, _first_point(sections.get("first_point", ())), " ms")
    room = card(image, boxes[1], "Passes of the model", "after the prefill, by points of the answer; scripted answers")
    passes = _grouped(
        sections.get("passes", ()), "passes", {"template and fans": "drafts", "last answer, motion 0.05 %": "last answer"}
    )
    curves(image, room, [line for line in passes if line.name in ("plain", "n-grams", "drafts", "last answer")], "points")
    room = card(
        image, boxes[2], "Answers with many points", "seconds from frame to tokens; scripted answers, every pass computed"
    )
    curves(image, room, _grouped(sections.get("points", ()), "median_ms", {"plain generate": "plain"}, 1e-3), "points", " s")
    room = card(image, boxes[3], "Several questions about one frame", "milliseconds for all answers")
    curves(image, room, _grouped(sections.get("queries", ()), "median_ms", {"batch": "one batch"}), "questions", " ms")
    return image


def _boxes() -> list[tuple[int, int, int, int]]:
    width, height = (_SIZE[0] - 3 * _MARGIN) // 2, (_SIZE[1] - _HEAD - 2 * _MARGIN) // 2
    corners = [(_MARGIN + c * (width + _MARGIN), _HEAD + r * (height + _MARGIN)) for r in (0, 1) for c in (0, 1)]
    return [(left, top, left + width, top + height) for left, top in corners]


def _first_point(lines: Sequence[_Line]) -> list[Bar]:
    return [Bar(line["name"], line["median_ms"], line["name"].startswith("ours")) for line in lines]


def _grouped(lines: Sequence[_Line], key: str, names: Mapping[str, str], scale: float = 1.0) -> list[Curve]:
    """Lines named "<count> points, <variant>" as one curve a variant."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        head, _, variant = line["name"].partition(", ")
        if line.get(key) is not None:
            found.setdefault(names.get(variant, variant), []).append((float(head.split()[0]), line[key] * scale))
    ours = ("ours", "drafts", "one batch")
    return [Curve(name, sorted(points), name in ours) for name, points in found.items()]
