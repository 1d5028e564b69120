"""Regions of the objects in a folder of real frames, compared with outlines drawn by hand."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.arrays import BoolArray
from molmo_point.frame import RgbdFrame, decode_depth
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.grasp.object_region import ObjectRegion, RegionStatus, grow_region

TRUTH = Path(__file__).with_name("truth.json")
"""For each frame, the objects: outline, core (default: the outline), pixels inside and outside, in pixels of the image."""

TWINS = ("glass-bottles", "glass-flowers")
"""Frames that show objects of another frame again: their objects are counted apart."""

MIN_COVER, MIN_COVER_LARGE, MAX_LEAK = 0.6, 0.5, 0.15
"""Least share of the core's measured pixels in the region, that of a large object, and largest leak as a share of the outline."""


@dataclass(frozen=True)
class RegionTrial:
    """One object asked at its point.

    Attributes:
        frame: Name of the frame.
        name: Name of the point.
        verdict: "right", "leak", "part" or "none".
        cover: Share of the core's measured pixels in the region.
        leak: Measured pixels of the region outside the outline, as a share of the outline.
        flags: Flags of the region.
        seconds: Time for the region alone.
    """

    frame: str
    name: str
    verdict: str
    cover: float
    leak: float
    flags: tuple[RegionStatus, ...]
    seconds: float


def load(folder: Path) -> tuple[RgbdFrame, dict[str, tuple[float, float]]]:
    """Load a frame with its named points."""
    points = json.loads((folder / "points.json").read_text())
    depth = decode_depth(np.asarray(Image.open(folder / "depth.png")), scale_m=points["depth_scale_m"])
    intrinsics = Intrinsics(**json.loads((folder / "intrinsics.json").read_text()))
    color = np.asarray(Image.open(folder / "color.jpg").convert("RGB"))
    return RgbdFrame(color, depth, intrinsics, 0), {each["name"]: (each["u"], each["v"]) for each in points["points"]}


def judge(region: ObjectRegion, depth_m: np.ndarray, truth: dict[str, Any]) -> tuple[str, float, float]:
    """Return the verdict on a region, its cover and its leak."""
    mask, measured = region.mask, np.isfinite(depth_m)
    if not mask.any():
        return "none", 0.0, 0.0
    outline = _filled(truth["outline"], mask.shape)
    core = measured & (_filled(truth["core"], mask.shape) if truth["core"] else outline)
    # The hand that drew the outline, and the alignment of the depth, are off by some pixels.
    allowed = _filled(truth["outline"], mask.shape, margin=round(4 * mask.shape[1] / 640))
    cover = float((mask & core).sum() / max(core.sum(), 1))
    leak = float((mask & measured & ~allowed).sum() / outline.sum())
    if leak > MAX_LEAK or any(mask[v, u] for u, v in truth["must_not_hold"]):
        return "leak", cover, leak
    missed = sum(measured[v, u] and not mask[v, u] for u, v in truth["must_hold"])
    whole = cover >= MIN_COVER_LARGE if truth["large"] else cover >= MIN_COVER and missed <= 1
    return "right" if whole else "part", cover, leak


def run_trials(root: Path, frames: Iterable[str] | None = None) -> list[RegionTrial]:
    """Ask for every object of the truth at its point."""
    truths = json.loads(TRUTH.read_text())
    trials = []
    for name in truths if frames is None else frames:
        frame, points = load(root / name)
        assert frame.depth_m is not None and frame.intrinsics is not None
        for truth in truths[name]:
            start = time.perf_counter()
            region = grow_region(frame.depth_m, points[truth["name"]], frame.intrinsics, color=frame.color)
            seconds = time.perf_counter() - start
            trials.append(RegionTrial(name, truth["name"], *judge(region, frame.depth_m, truth), region.flags, seconds))
    return trials


def _filled(outline: list[list[int]], shape: tuple[int, ...], margin: int = 0) -> BoolArray:
    picture = Image.new("1", (shape[1], shape[0]))
    corners = [tuple(corner) for corner in outline]
    ImageDraw.Draw(picture).polygon(corners, fill=1, outline=1)
    if margin:
        ImageDraw.Draw(picture).line([*corners, corners[0]], fill=1, width=2 * margin + 1)
    return np.array(picture)
