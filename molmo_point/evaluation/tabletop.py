"""Accuracy of pointing, counting and telling absence on fresh simulated tables."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from molmo_point.evaluation.intervals import figure_row, markdown, share
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point.request import Kind
from molmo_point.results import ImagePoint
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.rendered_scene import VisibleObject
from molmo_point.sim.tabletop.objects import COLORS, SHAPES
from molmo_point.sim.tabletop.scene import TabletopScene

FIRST_SEED = 900_000
"""Scene seeds of the evaluation; the training renderer draws from other generators."""
NEAR_PX = 40.0
"""Distance in pixels of 640 beyond which a point is a gross miss."""
_MIN_PIXELS = 150


@dataclass
class Tally:
    """Results of single questions.

    Attributes:
        hit: For every question about one object: the point lies on a visible pixel of it.
        offset_px: Signed (u, v) offsets of those points from the middle of the visible part, pixels.
        error_mm: Distances of the 3D targets from the truth in millimeters, where there was a target.
        count_error: For every counting question: by how many points the answer is off, without sign.
        absent: For every question about an absent object: the model said that it is absent.
        cautioned: For every pointing question: the answer bears a caution.
        latency_ms: Time of every pointing question in milliseconds.
    """

    hit: list[bool] = field(default_factory=list)
    offset_px: list[tuple[float, float]] = field(default_factory=list)
    error_mm: list[float] = field(default_factory=list)
    count_error: list[int] = field(default_factory=list)
    absent: list[bool] = field(default_factory=list)
    cautioned: list[bool] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)


def evaluate(pointer: Pointer, seeds: Iterable[int]) -> Tally:
    """Ask about every nameable object, one count and one absent object in the scene of each seed."""
    tally = Tally()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        with TabletopScene.random(seed) as scene, SimulatedCamera(scene, seed=seed) as camera:
            frame, masks = camera.read(), scene.render_masks()
            seen = scene.visible_objects()
            for asked in nameable(seen):
                _ask_for(pointer, frame, masks, scene, asked, tally)
            _ask_count(pointer, frame, seen, rng, tally)
            pointing = pointer.point(frame, absent_name(scene, rng))
            tally.absent.append(pointing.absent and not pointing.points)
            tally.cautioned.append(not pointing.trusted)
    return tally


def nameable(seen: list[VisibleObject]) -> list[VisibleObject]:
    """List the objects that are well in view and whose name fits no other object in the image."""
    names = [each.item.name for each in seen]
    return [t for t in seen if t.pixel_count >= _MIN_PIXELS and names.count(t.item.name) == 1]


def _ask_for(
    pointer: Pointer, frame: RgbdFrame, masks: np.ndarray, scene: TabletopScene, asked: VisibleObject, tally: Tally
) -> None:
    pointing = pointer.point(frame, asked.item.name)
    tally.latency_ms.append(pointing.timing_ms["total"])
    tally.cautioned.append(not pointing.trusted)
    if not pointing.points:
        tally.hit.append(False)
        return
    point = pointing.points[0]
    tally.hit.append(bool(at_point(masks, point) == scene.objects.index(asked.item)))
    tally.offset_px.append((point.u - float(asked.uv[0]), point.v - float(asked.uv[1])))
    if pointing.targets:
        error_m = np.linalg.norm(pointing.targets[0].position_m - asked.point_camera_m)
        tally.error_mm.append(float(error_m) * 1e3)


def at_point(image: np.ndarray, point: ImagePoint) -> Any:
    """Return the value of an image (h, w) at the pixel of a point, or at the nearest pixel of its border."""
    row, column = (int(np.clip(round(a), 0, n - 1)) for a, n in zip((point.v, point.u), image.shape, strict=True))
    return image[row, column]


def _ask_count(pointer: Pointer, frame: RgbdFrame, seen: list[VisibleObject], rng: np.random.Generator, tally: Tally) -> None:
    shape = str(rng.choice(SHAPES))
    fitting = [each for each in seen if each.item.shape == shape]
    abilities = pointer.backend.training.abilities
    if abilities is not None and Kind.COUNT not in abilities:
        return
    if not fitting or any(each.pixel_count < _MIN_PIXELS for each in fitting):
        return
    tally.count_error.append(abs(pointer.count(frame, f"{shape}s").count - len(fitting)))


def absent_name(scene: TabletopScene, rng: np.random.Generator) -> str:
    """Draw the name of an object that is not in the scene."""
    present = {item.name for item in scene.objects}
    names = [f"{color} {shape}" for color in COLORS for shape in SHAPES]
    return str(rng.choice([name for name in names if name not in present]))


def sigma_px(offsets_px: Iterable[tuple[float, float]]) -> float:
    """Standard deviation of a point along one axis, from offsets (u, v), pixels of 640; NaN without offsets.

    Offsets above `NEAR_PX` are gross misses and not the tail of a Gaussian; the hit rate reports them.
    """
    near = np.array([offset for offset in offsets_px if np.hypot(*offset) < NEAR_PX])
    return float(np.sqrt(np.mean(near**2))) if len(near) else float("nan")


def summary(tally: Tally) -> dict[str, object]:
    """All figures as plain data; shares come with their 95 % interval and number of trials."""
    distances = [float(np.hypot(*offset)) for offset in tally.offset_px]
    return {
        "point_in_mask": share(tally.hit),
        "count_exact": share([error == 0 for error in tally.count_error]),
        "count_within_one": share([error <= 1 for error in tally.count_error]),
        "absent_recognised": share(tally.absent),
        "under_caution": share(tally.cautioned),
        "pixel_error_median": _quantile(distances, 0.5),
        "pixel_error_95": _quantile(distances, 0.95),
        "error_mm_median": _quantile(tally.error_mm, 0.5),
        "error_mm_95": _quantile(tally.error_mm, 0.95),
        "latency_ms_median": _quantile(tally.latency_ms, 0.5),
        "sigma_px_at_640": sigma_px(tally.offset_px),
    }


def _quantile(values: list[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else float("nan")


def table(figures: dict[str, object]) -> str:
    """Format the summary as a Markdown table."""
    rows = [figure_row(name.replace("_", " "), value, ".1f") for name, value in figures.items()]
    return markdown(("measure", "value", "95 % interval", "trials"), rows)
