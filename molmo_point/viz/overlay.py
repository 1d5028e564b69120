"""Drawing of points on the image: position, label, confidence, distance, and unreachable points."""

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.errors import InputError
from molmo_point.files import encode_png, write_file
from molmo_point.results import Count, DepthStatus, Found, ImagePoint, Pointing
from molmo_point.viz.text import (
    AMBER,
    GRAY,
    INK,
    PAPER,
    RGB,
    Box,
    Label,
    colors_of,
    draw_banner,
    draw_labels,
    font,
    percent,
    shortened,
)

_SUPERSAMPLE = 4
_LEAST_SHARE = 0.02
_CROWD = 12
_SMALLEST_TEXT_PX = 10
_RADIUS_95 = 2.448  # of a Gaussian in two dimensions, in standard deviations


def draw_pointing(color: np.ndarray, answer: Pointing | Count) -> np.ndarray:
    """Draw an answer on a copy of its image (h, w, 3), uint8 RGB: a banner with the query, and every point with its label.

    An answer under caution has an amber banner that names the cautions, and hollow points.

    Args:
        color: RGB image (h, w, 3), uint8.
        answer: Answer of `Pointer.point` or `Pointer.count` for this image.

    Raises:
        InputError: If the image is not uint8 RGB.
    """
    found = [Found(point, None) for point in answer.points] if isinstance(answer, Count) else answer.found
    cautions = [caution.brief for caution in answer.cautions]
    doubtful = () if answer.trusted else range(len(found))
    return draw_points(color, found, banner=_banner(answer), cautions=cautions, doubtful=doubtful, warning=not found)


def _banner(answer: Pointing | Count) -> str:
    query = shortened(answer.query, 60)
    if isinstance(answer, Count):
        sure = f"  ({percent(answer.confidence)} sure)" if answer.trusted and math.isfinite(answer.confidence) else ""
        differs = "" if answer.consistent or answer.cautions else "  (the answer's text gives another number)"
        return f"{query}: {answer.count}{sure}{differs}"
    if answer.found:
        return f"point to: {query}"
    if not answer.absent:
        return f"no point in the answer: {query}"
    return f"not in this image: {query}" if answer.trusted else f"the model sees none: {query}"


def draw_points(
    color: np.ndarray,
    found: Sequence[Found],
    *,
    banner: str = "",
    cautions: Sequence[str] = (),
    doubtful: Collection[int] = (),
    warning: bool = False,
) -> np.ndarray:
    """Draw points on a copy of an image, with label, confidence, and a circle of one standard deviation or their modes.

    Args:
        color: RGB image (h, w, 3), uint8.
        found: Points to draw. A target adds its distance and error to the label; a reason makes its point gray.
        banner: Line of text for the top left corner.
        cautions: Cautions in a few words each, below that line; any makes the banner amber.
        doubtful: Indices of the points under caution: hollow, with their confidence in brackets.
        warning: True to draw the banner in amber.

    Raises:
        InputError: If the image is not uint8 RGB.
    """
    if color.dtype != np.uint8 or color.ndim != 3 or color.shape[2] != 3:
        raise InputError("color must be 8-bit RGB", given=f"{color.dtype}, shape {color.shape}", fix="pass (h, w, 3) uint8")
    image = Image.fromarray(color).copy()
    scale = max(min(image.size) / 480.0, 0.5)
    obstacles: list[Box] = []
    if banner or cautions:
        ground, ink = (AMBER, INK) if warning or cautions else (INK, PAPER)
        line = shortened(banner, 90)
        obstacles.append(draw_banner(image, line, _text_px(15 * scale), notes=cautions, ground=ground, ink=ink))
    palette = colors_of([each.point.label for each in found])
    names = _names([each.point.label for each in found])
    radius_px = 6.5 * scale
    labels = []
    for i, (each, name) in enumerate(zip(found, names, strict=True)):
        point, muted = each.point, each.reason is not None
        tint = GRAY if muted else palette[point.label]
        _draw_modes(image, point, tint)
        _draw_marker(image, point, tint, radius_px, hollow=i in doubtful)
        figures = "" if len(found) > _CROWD else _figures(each, i in doubtful)
        labels.append(Label(name + figures, (point.u, point.v), radius_px * 1.5, tint, muted))
        # Room for part of the object, not only for its marker.
        reach = radius_px * 2.2
        obstacles.append((point.u - reach, point.v - reach, point.u + reach, point.v + reach))
    draw_labels(image, labels, _text_px(14 * scale), obstacles)
    return np.array(image)


def save_png(path: str | Path, image: np.ndarray) -> None:
    """Write an RGB image (h, w, 3), uint8, as PNG, atomically.

    Raises:
        InputError: If the folder does not exist or is not writable.
    """
    write_file(path, encode_png(image, drawn=True))


def _text_px(size_px: float) -> int:
    return max(round(size_px), _SMALLEST_TEXT_PX)


def _names(labels: Sequence[str]) -> list[str]:
    """Shorten the labels, and number the labels that occur more than once; in a crowd only the number stays."""
    names = []
    for i, label in enumerate(labels):
        name, number = shortened(label, 32) or "point", str(labels[: i + 1].count(label))
        is_one = labels.count(label) == 1
        names.append(name if is_one else number if len(labels) > _CROWD else f"{name} {number}")
    return names


def _figures(found: Found, doubtful: bool) -> str:
    """Describe the confidence, and the distance with its error or the reason why there is none."""
    text = percent(found.point.confidence) if math.isfinite(found.point.confidence) else ""
    text = text and f"  ({text})" if doubtful else text and f"  {text}"
    if found.target is not None:
        text += f"\n{float(np.linalg.norm(found.target.position_m)):.3f} m ± {found.target.sigma_m * 1e3:.0f} mm"
        if found.target.depth_status is not DepthStatus.OK:
            text += f"  {found.target.depth_status.value.lower()}"
    elif found.reason is not None and found.reason.reason is not DepthStatus.NO_INPUT:
        text += f"\nno position: {found.reason.reason.value.lower().replace('_', ' ')}"
    return text


def _draw_marker(image: Image.Image, point: ImagePoint, tint: RGB, radius_px: float, *, hollow: bool) -> None:
    """Draw an anti-aliased ring with a dot, and a translucent disc of one standard deviation.

    A hollow marker is a larger, broken ring; its standard deviation is a circle.
    """
    radius_px *= 1.3 if hollow else 1.0
    sigma_px = point.sigma_px if math.isfinite(point.sigma_px) and not point.modes else 0.0
    sigma_px = min(sigma_px, 0.5 * max(image.size))
    reach = math.ceil(max(radius_px * 1.6, sigma_px + 2)) + 2
    left, top = math.floor(point.u) - reach, math.floor(point.v) - reach
    side = 2 * reach + 2
    tile = Image.new("RGBA", (side * _SUPERSAMPLE, side * _SUPERSAMPLE), (*tint, 0))
    pen = ImageDraw.Draw(tile)
    # Pixel centers are at whole numbers, so the edge of the image is at -0.5.
    u, v = ((value + 0.5) * _SUPERSAMPLE for value in (point.u - left, point.v - top))

    def disc(radius: float, **style: object) -> None:
        radius *= _SUPERSAMPLE
        pen.ellipse((u - radius, v - radius, u + radius, v + radius), **style)  # type: ignore[arg-type]

    if sigma_px > 1:
        disc(sigma_px, fill=None if hollow else (*tint, 62), outline=(*tint, 190), width=_SUPERSAMPLE)
    stroke = radius_px * 0.28
    disc(radius_px + stroke, outline=(*INK, 235), width=round(stroke * _SUPERSAMPLE * 2.6))
    if hollow:
        radius = (radius_px + 0.4 * stroke) * _SUPERSAMPLE
        for start in range(0, 360, 60):
            box = (u - radius, v - radius, u + radius, v + radius)
            pen.arc(box, start, start + 38, fill=(*tint, 255), width=round(stroke * _SUPERSAMPLE * 1.5))
    else:
        disc(radius_px + 0.4 * stroke, outline=(*tint, 255), width=round(stroke * _SUPERSAMPLE * 1.5))
        disc(radius_px * 0.38, fill=(*INK, 255))
        disc(radius_px * 0.26, fill=(*PAPER, 255))
    tile = tile.resize((side, side), Image.Resampling.BOX)
    image.paste(tile, (left, top), tile)


def _draw_modes(image: Image.Image, point: ImagePoint, tint: RGB) -> None:
    """Draw the 95 % ellipse of each mode with a relevant share, fainter for smaller shares."""
    for rank, mode in enumerate(point.modes):
        if mode.weight < _LEAST_SHARE:
            continue
        turns = np.linspace(0, 2 * np.pi, 72)
        root = np.linalg.cholesky(mode.covariance_px2 + 1e-6 * np.eye(2)) * _RADIUS_95
        outline = (mode.u, mode.v) + np.stack([np.cos(turns), np.sin(turns)], 1) @ root.T
        left, top = np.floor(outline.min(0)).astype(int) - 2
        side_u, side_v = np.ceil(outline.max(0)).astype(int) + 3 - (left, top)
        if max(side_u, side_v) > 2 * max(image.size):
            continue
        tile = Image.new("RGBA", (int(side_u) * _SUPERSAMPLE, int(side_v) * _SUPERSAMPLE), (*tint, 0))
        corners = [tuple(corner) for corner in ((outline - (left, top) + 0.5) * _SUPERSAMPLE).tolist()]
        pen = ImageDraw.Draw(tile)
        pen.polygon(corners, fill=(*tint, round(30 + 60 * mode.weight)))
        pen.line([*corners, corners[0]], fill=(*tint, round(120 + 135 * mode.weight)), width=round(1.6 * _SUPERSAMPLE))
        tile = tile.resize((int(side_u), int(side_v)), Image.Resampling.BOX)
        image.paste(tile, (int(left), int(top)), tile)
        if rank:
            size_px = max(10, round(min(image.size) / 40))
            style: dict[str, Any] = {"font": font(size_px), "anchor": "mm", "stroke_width": 2, "stroke_fill": INK}
            ImageDraw.Draw(image).text((mode.u, mode.v), f"{mode.weight:.0%}", fill=PAPER, **style)
