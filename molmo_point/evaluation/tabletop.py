"""How well a model points at, counts and misses things on fresh simulated tables."""

from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from molmo_point.evaluation.intervals import wilson
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.rendered_scene import VisibleObject
from molmo_point.sim.tabletop.objects import COLORS, SHAPES
from molmo_point.sim.tabletop.scene import TabletopScene

FIRST_SEED = 900_000
"""Scene seeds of the evaluation; the training renderer draws from other generators."""
_MIN_PIXELS = 150


@dataclass
class Tally:
    """What was counted; errors in pixels of the 640-pixel image and in millimetres.

    Attributes:
        hit: For every question about one thing: the point lies on a visible pixel of it.
        offset_px: Signed (u, v) offsets of those points from the middle of the visible part.
        error_mm: Distances of the 3D targets from the truth, where there was a target.
        count_exact: For every counting question: the number of points is right.
        count_close: The same, give or take one.
        absent: For every question about something that is not there: the model said so.
        latency_ms: Time of every pointing question.
    """

    hit: list[bool] = field(default_factory=list)
    offset_px: list[tuple[float, float]] = field(default_factory=list)
    error_mm: list[float] = field(default_factory=list)
    count_exact: list[bool] = field(default_factory=list)
    count_close: list[bool] = field(default_factory=list)
    absent: list[bool] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)


def evaluate(pointer: Pointer, scenes: int, first_seed: int = FIRST_SEED) -> Tally:
    """Asks about every nameable thing, one count and one absent thing in each scene.

    Args:
        pointer: The model.
        scenes: Number of scenes.
        first_seed: Seed of the first scene; scene k has ``first_seed + k``.
    """
    tally = Tally()
    for seed in tqdm(range(first_seed, first_seed + scenes), desc="scenes", unit="scene"):
        rng = np.random.default_rng(seed)
        with TabletopScene.random(seed) as scene, SimulatedCamera(scene, seed=seed) as camera:
            frame, masks = camera.read(), scene.render_masks()
            seen = scene.visible_objects()
            for thing in nameable(seen):
                _ask_for(pointer, frame, masks, scene, thing, tally)
            _ask_count(pointer, frame, seen, rng, tally)
            _ask_absent(pointer, frame, scene, rng, tally)
    return tally


def nameable(seen: list[VisibleObject], min_pixels: int = _MIN_PIXELS) -> list[VisibleObject]:
    """The things that are well in view and whose name fits nothing else in the picture."""
    names = [thing.item.name for thing in seen]
    return [t for t in seen if t.pixel_count >= min_pixels and names.count(t.item.name) == 1]


def _ask_for(
    pointer: Pointer,
    frame: RgbdFrame,
    masks: np.ndarray,
    scene: TabletopScene,
    thing: VisibleObject,
    tally: Tally,
) -> None:
    pointing = pointer.point(frame, thing.item.name)
    tally.latency_ms.append(pointing.timing_ms["total"])
    if not pointing.points:
        tally.hit.append(False)
        return
    point = pointing.points[0]
    height, width = masks.shape
    row, column = (int(np.clip(round(a), 0, n - 1)) for a, n in ((point.v, height), (point.u, width)))
    tally.hit.append(bool(masks[row, column] == scene.objects.index(thing.item)))
    tally.offset_px.append((point.u - float(thing.uv[0]), point.v - float(thing.uv[1])))
    if pointing.targets:
        error_m = np.linalg.norm(pointing.targets[0].position_m - thing.point_camera_m)
        tally.error_mm.append(float(error_m) * 1e3)


def _ask_count(
    pointer: Pointer,
    frame: RgbdFrame,
    seen: list[VisibleObject],
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    shape = str(rng.choice(SHAPES))
    things = [thing for thing in seen if thing.item.shape == shape]
    if not things or any(thing.pixel_count < _MIN_PIXELS for thing in things):
        return
    count = pointer.count(frame, f"{shape}s").count
    tally.count_exact.append(count == len(things))
    tally.count_close.append(abs(count - len(things)) <= 1)


def _ask_absent(pointer: Pointer, frame: RgbdFrame, scene: TabletopScene, rng: np.random.Generator, tally: Tally) -> None:
    present = {item.name for item in scene.objects}
    names = [f"{color} {shape}" for color in COLORS for shape in SHAPES]
    name = str(rng.choice([n for n in names if n not in present]))
    pointing = pointer.point(frame, name)
    tally.absent.append(pointing.absent and not pointing.points)


def sigma_px(tally: Tally) -> float:
    """Standard deviation of a point along one axis, pixels at 640, from the points that hit.

    Gross misses are no Gaussian's tail: they are what ``hit`` reports.
    """
    offsets = np.array([o for o in tally.offset_px if np.hypot(*o) < 40.0])
    return float(np.sqrt(np.mean(offsets**2))) if len(offsets) else float("nan")


def summary(tally: Tally) -> dict[str, object]:
    """All figures as plain data; shares come with their 95 % interval and number of trials."""

    def share(values: list[bool]) -> dict[str, float]:
        low, high = wilson(sum(values), len(values))
        mean = float(np.mean(values)) if values else float("nan")
        return {"share": mean, "low": low, "high": high, "trials": len(values)}

    distances = [float(np.hypot(*offset)) for offset in tally.offset_px]
    return {
        "point_in_mask": share(tally.hit),
        "count_exact": share(tally.count_exact),
        "count_within_one": share(tally.count_close),
        "absent_recognised": share(tally.absent),
        "pixel_error_median": _quantile(distances, 0.5),
        "pixel_error_95": _quantile(distances, 0.95),
        "error_mm_median": _quantile(tally.error_mm, 0.5),
        "error_mm_95": _quantile(tally.error_mm, 0.95),
        "latency_ms_median": _quantile(tally.latency_ms, 0.5),
        "sigma_px_at_640": sigma_px(tally),
    }


def _quantile(values: list[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else float("nan")


def table(figures: dict[str, object]) -> str:
    """The summary as a Markdown table."""
    lines = ["| measure | value | 95 % interval | trials |", "|---|---|---|---|"]
    for name, value in figures.items():
        title = name.replace("_", " ")
        if isinstance(value, dict):
            low, high = 100 * value["low"], 100 * value["high"]
            lines.append(f"| {title} | {100 * value['share']:.1f} % | {low:.1f} to {high:.1f} % | {value['trials']} |")
        else:
            lines.append(f"| {title} | {value:.1f} | | |")
    return "\n".join(lines)
