"""Grasps proposed on noisy depth of simulated tables, checked against the true solids."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.depth.lift import lift_point
from molmo_point.evaluation.intervals import share
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.grasp.candidates import GraspCandidate, Grasps
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.propose import propose_grasps
from molmo_point.results import ImagePoint, Target
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.depth_faults import Appearance
from molmo_point.sim.stereo_faults import SIMULATED_D435
from molmo_point.sim.tabletop.clutter import CLUTTER_KINDS, ClutteredScene, height_at
from molmo_point.sim.tabletop.objects import SceneObject, signed_distance
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.sim.unkind_faults import simulator_faults

FIRST_SEED = 50_000
"""No scene from here on was looked at while the grasps were made."""

TOUCH_M = 0.0005
"""Boxes of the gripper may reach this far into a true solid before that counts as a collision, in meters."""


TABLES = ("plain", *CLUTTER_KINDS, "mixed")
"""Kinds of tables; with "mixed", all kinds with clutter take turns."""

Ground = Callable[[FloatArray], FloatArray]
"""Height (n,) of the table at points (n, 2), base frame."""


@dataclass(frozen=True)
class GraspTrial:
    """One object of one scene.

    Attributes:
        seed: Of the scene.
        shape: Of the object.
        graspable: True when it has two parallel sides, or a diameter, that fit into the gripper.
        status: Of the region; "NO_TARGET" when the point could not be lifted.
        iou: Of the region with the true mask.
        found: Whether there was a candidate.
        verdict: Of the best candidate against the true solids: "GOOD", or what goes wrong; "" without one.
        width_error_m: Width of the best candidate minus the true distance of its contacts; NaN without contacts.
        seconds: For region and grasps together.
        reasons: How many candidates were out for each reason.
    """

    seed: int
    shape: str
    graspable: bool
    status: str
    iou: float
    found: bool
    verdict: str
    width_error_m: float
    seconds: float
    reasons: dict[str, int] = field(default_factory=dict)


def judge(
    grasp: GraspCandidate, objects: Iterable[SceneObject], target: SceneObject, gripper: Gripper, ground: Ground | None = None
) -> tuple[str, float]:
    """Try a grasp, given in the base frame, on the true solids on the table; `ground` gives its height, 0 without.

    Returns:
        "GOOD", or "HITS_TABLE", "HITS_OBJECT", "HITS_NEIGHBOR", "MISSES" (the pads meet nothing), "SLIPS" (a contact
        outside the cone of friction); and the distance of the two contacts along the closing direction, NaN without.
    """
    lows, highs = gripper.boxes(grasp.opening_m, grasp.approach_distance_m)
    for low, high in zip(lows, highs, strict=True):
        counts = np.maximum(np.ceil((high - low) / 0.003).astype(int), 2) + 1
        grid = np.stack(np.meshgrid(*(np.linspace(*ends) for ends in zip(low, high, counts, strict=True)), indexing="ij"), -1)
        points = grasp.camera_T_grasp.apply(grid.reshape(-1, 3), frame=grasp.camera_T_grasp.source)
        heights = 0.0 if ground is None else ground(points[:, :2])
        if (points[:, 2] - heights).min() < -TOUCH_M:
            return "HITS_TABLE", math.nan
        for item in objects:
            if signed_distance(item, points).min() < -TOUCH_M:
                return ("HITS_OBJECT" if item is target else "HITS_NEIGHBOR"), math.nan
    return _close(grasp, target, gripper)


def _close(grasp: GraspCandidate, target: SceneObject, gripper: Gripper) -> tuple[str, float]:
    x = np.linspace(-0.5, 0.5, 19) * gripper.finger_width_m
    z = np.linspace(gripper.tip_offset_m - gripper.finger_depth_m, gripper.tip_offset_m, 46)
    travel = np.arange(0.0, 0.5 * grasp.opening_m, 0.00025)
    pose = grasp.camera_T_grasp
    reached = []
    angles = []
    for sign in (-1.0, 1.0):
        local = np.stack(np.meshgrid(x, sign * (0.5 * grasp.opening_m - travel), z, indexing="ij"), axis=-1)
        inside = signed_distance(target, pose.apply(local, frame=pose.source)) <= 0.0
        hit = inside.any(axis=1)
        if not hit.any():
            return "MISSES", math.nan
        first = np.where(hit, inside.argmax(axis=1), len(travel))
        touching = hit & (first <= first.min() + 2)
        rows, columns = np.nonzero(touching)
        contact = local[rows, first[rows, columns], columns].mean(axis=0)
        # A pad takes hold of the surface at the contact, not of an edge that it brushes.
        normal = _normal(target, pose.apply(contact, frame=pose.source))
        angles.append(math.acos(float(np.clip(sign * normal @ pose.rotation[:, 1], -1.0, 1.0))))
        reached.append(float(sign * (0.5 * grasp.opening_m - travel[first.min()])))
    verdict = "GOOD" if max(angles) <= math.atan(gripper.friction) else "SLIPS"
    return verdict, reached[1] - reached[0]


def _normal(item: SceneObject, point: FloatArray) -> FloatArray:
    step = 1e-5 * np.vstack([np.eye(3), -np.eye(3)])
    values = signed_distance(item, point + step)
    gradient = values[:3] - values[3:]
    return gradient / max(float(np.linalg.norm(gradient)), 1e-12)


def graspable(item: SceneObject, gripper: Gripper) -> bool:
    """Tell whether a width of the object fits into the gripper with its clearance."""
    return item.width_m <= gripper.max_opening_m - gripper.clearance_m


def run_trials(
    seeds: Iterable[int],
    gripper: Gripper | None = None,
    *,
    size_wh: tuple[int, int] = (640, 480),
    noise: DepthNoise | None = SIMULATED_D435,
    sigma_px: float = 3.0,
    min_pixels: int = 400,
    simulator: str = "kind",
    tables: str = "plain",
) -> list[GraspTrial]:
    """One trial on a random object of each scene that shows one with at least `min_pixels` pixels.

    Args:
        seeds: Of the scenes.
        gripper: Default `Gripper()`.
        size_wh: Of the images.
        noise: Of the simulated camera; None for perfect depth.
        sigma_px: Standard deviation of the point around the middle of what is seen of the object.
        min_pixels: Smallest object to ask for.
        simulator: Depth camera, one of `SIMULATORS`.
        tables: One of `TABLES`.
    """
    gripper = gripper or Gripper()
    trials = []
    for seed in seeds:
        with _scene(tables, seed, size_wh) as scene:
            seen = scene.visible_objects(min_pixels)
            if seen:
                trials.append(_trial(scene, seen, seed, gripper, noise, sigma_px, simulator))
    return trials


def _scene(tables: str, seed: int, size_wh: tuple[int, int]) -> TabletopScene | ClutteredScene:
    if tables == "plain":
        return TabletopScene.random(seed, *size_wh)
    kind = list(CLUTTER_KINDS)[seed % len(CLUTTER_KINDS)] if tables == "mixed" else tables
    return ClutteredScene.random(kind, seed, *size_wh)


def _trial(
    scene: TabletopScene | ClutteredScene,
    seen: list[Any],
    seed: int,
    gripper: Gripper,
    noise: DepthNoise | None,
    sigma_px: float,
    simulator: str,
) -> GraspTrial:
    rng = np.random.default_rng(seed)
    chosen = seen[int(rng.integers(len(seen)))]
    looks = scene.appearance if isinstance(scene, ClutteredScene) else Appearance
    frame = SimulatedCamera(scene, noise=noise, seed=seed, faults=simulator_faults(simulator), appearance=looks).read()
    limits = np.array(frame.size_wh) - 1
    u, v = np.clip(chosen.uv + rng.normal(0.0, sigma_px, 2), 0, limits)
    index = next(i for i, item in enumerate(scene.objects) if item is chosen.item)
    true = scene.render_masks() == index
    fits = graspable(chosen.item, gripper)
    target = lift_point(ImagePoint(float(u), float(v), chosen.item.name, sigma_px=sigma_px), frame)
    if not isinstance(target, Target):
        return GraspTrial(seed, chosen.item.shape, fits, "NO_TARGET", 0.0, False, "", math.nan, 0.0)
    start = time.perf_counter()
    grasps = propose_grasps(frame, target, gripper=gripper)
    seconds = time.perf_counter() - start
    mask = grasps.region.mask
    iou = float((mask & true).sum() / max((mask | true).sum(), 1))
    verdict, error = _verdict(grasps, scene, chosen.item, gripper)
    status = grasps.region.status.value
    return GraspTrial(
        seed, chosen.item.shape, fits, status, iou, grasps.best is not None, verdict, error, seconds, grasps.reasons
    )


def _verdict(grasps: Grasps, scene: TabletopScene | ClutteredScene, item: SceneObject, gripper: Gripper) -> tuple[str, float]:
    if grasps.best is None:
        return "", math.nan
    best, objects, ground = grasps.best.transformed(scene.base_T_camera), scene.objects, None
    if isinstance(scene, ClutteredScene):
        layout = scene.layout
        objects, ground = (*objects, *layout.walls), lambda xy: height_at(layout, xy)
    verdict, width = judge(best, objects, item, gripper, ground)
    return verdict, grasps.best.width_m - width


def summarize(trials: list[GraspTrial]) -> dict[str, Any]:
    """The figures of a run: counts, shares from 0 to 1, milliseconds and millimeters."""
    fits = [trial for trial in trials if trial.graspable]
    best = [trial for trial in trials if trial.verdict]
    ious = np.array([trial.iou for trial in trials])
    times = np.array([trial.seconds for trial in trials]) * 1e3
    errors = np.array([trial.width_error_m for trial in best if math.isfinite(trial.width_error_m)]) * 1e3
    reasons: Counter[str] = Counter()
    for trial in trials:
        reasons.update(trial.reasons)
    return {
        "trials": len(trials),
        "graspable": len(fits),
        "iou_median": float(np.median(ious)),
        "iou_p5": float(np.quantile(ious, 0.05)),
        "iou_below_half": float(np.mean(ious < 0.5)),
        "found_on_graspable": share([trial.found for trial in fits]),
        "best_good": share([trial.verdict == "GOOD" for trial in best]),
        "verdicts": dict(Counter(trial.verdict for trial in best).most_common()),
        "statuses": dict(Counter(trial.status for trial in trials).most_common()),
        "width_error_mm_median": float(np.median(errors)) if errors.size else math.nan,
        "width_error_mm_p95": float(np.quantile(np.abs(errors), 0.95)) if errors.size else math.nan,
        "ms_median": float(np.median(times)),
        "ms_p95": float(np.quantile(times, 0.95)),
        "reasons": dict(reasons.most_common()),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures of `summarize` as Markdown."""
    rows = [
        ("scenes", f"{figures['trials']}"),
        ("region IoU with the true mask, median / 5th percentile", f"{figures['iou_median']:.3f} / {figures['iou_p5']:.3f}"),
        (f"at least one grasp, of {figures['graspable']} objects that fit", _percent(figures["found_on_graspable"])),
        ("best grasp antipodal and free in truth", _percent(figures["best_good"])),
        ("what becomes of the best", _counts(figures["verdicts"])),
        (
            "width, median error / 95 % of absolute error",
            f"{figures['width_error_mm_median']:+.1f} / {figures['width_error_mm_p95']:.1f} mm",
        ),
        ("region and grasps, median / 95 %", f"{figures['ms_median']:.0f} / {figures['ms_p95']:.0f} ms"),
        ("regions", _counts(figures["statuses"])),
        ("candidates that were out", _counts(figures["reasons"])),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _percent(value: dict[str, float]) -> str:
    if not value["trials"]:
        return "–"
    return f"{100 * value['share']:.1f} % ({100 * value['low']:.1f} to {100 * value['high']:.1f})"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items())
