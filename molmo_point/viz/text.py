"""Fonts, non-overlapping labels and colors, for drawing on Pillow images."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

RGB = tuple[int, int, int]
Box = tuple[float, float, float, float]

# Okabe and Ito's palette for color-blind readers, without black, brightened for photographs.
PALETTE: tuple[RGB, ...] = (
    (255, 176, 0),
    (64, 186, 255),
    (0, 205, 140),
    (255, 110, 64),
    (240, 130, 200),
    (250, 235, 80),
    (90, 130, 255),
)
INK: RGB = (18, 20, 24)
PAPER: RGB = (250, 250, 250)
GRAY: RGB = (168, 172, 178)
AMBER: RGB = (255, 196, 60)


@lru_cache(maxsize=32)
def font(size_px: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Load a sans-serif font: DejaVu if installed, for its many scripts, else Pillow's own."""
    for name in ("DejaVuSans.ttf", "Arial.ttf", "LiberationSans-Regular.ttf"):
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, size_px)
    try:
        return ImageFont.load_default(size_px)
    except TypeError:
        # Pillow before 10.1 has one bitmap font of one size.
        return ImageFont.load_default()


def colors_of(labels: list[str]) -> dict[str, RGB]:
    """Assign one color per label, in order of first appearance."""
    return {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(dict.fromkeys(labels))}


@dataclass(frozen=True)
class Label:
    """Text to place near an anchor.

    Attributes:
        text: One or several lines.
        anchor: Pixel (u, v) that the text belongs to.
        clearance_px: Smallest distance from the anchor to the text, in pixels.
        color: Color of the bar at its side and of the line to the anchor.
        muted: True to draw it gray, for a point without a measurement.
    """

    text: str
    anchor: tuple[float, float]
    clearance_px: float
    color: RGB
    muted: bool = False


def shortened(text: str, limit: int = 42) -> str:
    """Put a text on one line, cut with an ellipsis after `limit` characters."""
    flat = "".join(letter if letter.isprintable() else " " for letter in text)
    flat = " ".join(flat.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def percent(probability: float) -> str:
    """Format a probability, 0 to 1; only certainty is 0% or 100%."""
    if 0.0 < probability < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= probability < 1.0 else f"{probability:.0%}"


def text_size(text: str, size_px: int) -> tuple[float, float]:
    """Measure the width and height of `text`, in pixels."""
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = probe.multiline_textbbox((0, 0), text, font=font(size_px), spacing=size_px * 0.25)
    return float(right - min(left, 0)), float(bottom - min(top, 0))


def place(labels: list[Label], size_px: int, canvas_wh: tuple[int, int], obstacles: list[Box]) -> list[Box]:
    """Choose boxes for the labels, inside the canvas and off the obstacles and each other as far as there is room.

    Boxes are tried outward from each anchor. The first box without an overlap is taken, else the box that overlaps least.
    """
    taken = list(obstacles)
    for label in labels:
        width, height = text_size(label.text, size_px)
        pad = size_px * 0.45
        width, height = width + 2 * pad + size_px * 0.3, height + 1.4 * pad
        least = float("inf")
        chosen: Box = (0.0, 0.0, width, height)
        for rank, box in enumerate(_candidates(label, width, height, canvas_wh)):
            # A small cost per rank, so that near boxes win if none is free.
            cost = sum(_overlap(box, other) for other in taken) + rank * 1e-3
            if cost < least:
                least, chosen = cost, box
            if cost < 1.0:
                break
        taken.append(chosen)
    return taken[len(obstacles) :]


def _candidates(label: Label, width: float, height: float, canvas_wh: tuple[int, int]) -> list[Box]:
    u, v = label.anchor
    boxes = []
    for step in range(12):
        gap = label.clearance_px + step * height * 0.5
        beside, above = gap + width / 2, gap + height / 2
        diagonal = 0.75 * gap
        for du, dv in (
            (beside, 0.0), (-beside, 0.0), (0.0, -above), (0.0, above),
            (diagonal + width / 2, -diagonal - height / 2), (-diagonal - width / 2, -diagonal - height / 2),
            (diagonal + width / 2, diagonal + height / 2), (-diagonal - width / 2, diagonal + height / 2),
        ):  # fmt: skip
            left = min(max(u + du - width / 2, 2.0), max(canvas_wh[0] - width - 2.0, 2.0))
            top = min(max(v + dv - height / 2, 2.0), max(canvas_wh[1] - height - 2.0, 2.0))
            boxes.append((left, top, left + width, top + height))
    return boxes


def _overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def draw_labels(image: Image.Image, labels: list[Label], size_px: int, obstacles: list[Box]) -> None:
    """Place labels and draw them over the lines to their anchors."""
    boxes = place(labels, size_px, image.size, obstacles)
    for label, box in zip(labels, boxes, strict=True):
        _draw_leader(image, label, box, size_px)
    for label, box in zip(labels, boxes, strict=True):
        _draw_label(image, label, box, size_px)


def _draw_label(image: Image.Image, label: Label, box: Box, size_px: int) -> None:
    """Draw a label into its box on an RGB image: dark translucent ground, colored bar, text."""
    left, top, right, bottom = (round(value) for value in box)
    bar = max(round(size_px * 0.22), 2)
    ground = Image.new("RGBA", (right - left, bottom - top), (0, 0, 0, 0))
    pen = ImageDraw.Draw(ground)
    pen.rounded_rectangle((0, 0, right - left - 1, bottom - top - 1), radius=size_px * 0.3, fill=(*INK, 215))
    pen.rectangle((bar, bar, 2 * bar, bottom - top - 1 - bar), fill=(*label.color, 255))
    pad = size_px * 0.45
    fill = (*(GRAY if label.muted else PAPER), 255)
    pen.multiline_text((pad + size_px * 0.3, pad * 0.45), label.text, font=font(size_px), fill=fill, spacing=size_px * 0.25)
    image.paste(ground, (left, top), ground)


def _draw_leader(image: Image.Image, label: Label, box: Box, size_px: int) -> None:
    """Draw a line from the marker to a distant label."""
    u, v = label.anchor
    nearest = (min(max(u, box[0]), box[2]), min(max(v, box[1]), box[3]))
    length = ((nearest[0] - u) ** 2 + (nearest[1] - v) ** 2) ** 0.5
    if length < label.clearance_px + 0.8 * size_px:
        return
    start = label.clearance_px * 0.75 / length
    origin = (u + (nearest[0] - u) * start, v + (nearest[1] - v) * start)
    pen = ImageDraw.Draw(image)
    width = max(round(size_px / 10), 1)
    pen.line([origin, nearest], fill=INK, width=width + 2)
    pen.line([origin, nearest], fill=label.color, width=width)


def draw_banner(
    image: Image.Image,
    text: str,
    size_px: int,
    *,
    notes: Sequence[str] = (),
    ground: RGB = INK,
    ink: RGB = PAPER,
    bottom: bool = False,
) -> Box:
    """Write a line into the top or bottom left corner, and notes below it, as many on a line as fit; return their box."""
    room = image.width - 3 * size_px
    text = "\n".join(_fitting(line, size_px, room) for line in (text, *_packed(notes, size_px, room)) if line)
    width, height = text_size(text, size_px)
    pad = size_px * 0.5
    margin = round(size_px * 0.5)
    high = round(height + 1.5 * pad)
    top = max(image.height - margin - high, margin) if bottom else margin
    box = (margin, top, margin + round(width + 2.4 * pad), top + high)
    panel = Image.new("RGBA", (box[2] - box[0], box[3] - box[1]), (0, 0, 0, 0))
    pen = ImageDraw.Draw(panel)
    pen.rounded_rectangle((0, 0, panel.width - 1, panel.height - 1), radius=size_px * 0.35, fill=(*ground, 225))
    pen.multiline_text((1.2 * pad, pad * 0.5), text, font=font(size_px), fill=(*ink, 255), spacing=size_px * 0.25)
    image.paste(panel, box[:2], panel)
    return tuple(float(value) for value in box)  # type: ignore[return-value]


def _fitting(line: str, size_px: int, room_px: float) -> str:
    """Shorten a line until it fits."""
    while text_size(line, size_px)[0] > room_px and len(line) > 8:
        line = line[:-2].rstrip("…") + "…"
    return line


def _packed(notes: Sequence[str], size_px: int, room_px: float) -> list[str]:
    """Join notes by dots to as few lines as hold them."""
    lines: list[str] = []
    for note in map(shortened, notes):
        joined = f"{lines[-1]} · {note}" if lines else note
        if lines and text_size(joined, size_px)[0] <= room_px:
            lines[-1] = joined
        else:
            lines.append(note)
    return lines
