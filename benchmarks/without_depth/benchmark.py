"""Errors and stated errors of targets by a known plane, by two and three views, and by depth, on simulated tables.

Every view points at the middle of what it sees of an object, with a pixel error. The truth of depth and plane is the surface
at the middle that the first view sees. The rays of several views meet inside the object, so their truth is its middle.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import chi2

from molmo_point.depth.lift import lift_point
from molmo_point.evaluation.intervals import markdown, share
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D435
from molmo_point.geometry.known_plane import HEIGHT_M, HEIGHT_SIGMA_M, KnownPlane
from molmo_point.results import ImagePoint, Pointing, Target, Unreachable
from molmo_point.several_views import PosedFrame, join_views
from molmo_point.sim.camera_pose import BASE_FRAME, CameraPose
from molmo_point.sim.stereo_faults import simulate_depth
from molmo_point.sim.tabletop.scene import TabletopScene

FIRST_SEED = 700_000
SIGMA_PX = 3.0
MIN_PIXELS = 120
TURNS_DEG = (0.0, 35.0, -35.0)
"""Directions of the views around the middle of the table."""
ONE_SIGMA, TWO_SIGMAS = float(chi2.ppf(0.6827, 3)), float(chi2.ppf(0.9545, 3))
GROSS_M = 0.03


@dataclass(frozen=True, eq=False)
class Attempt:
    """One object that one way has placed.

    Attributes:
        way: "depth", "plane", "two views" or "three views".
        height_m: True height of the surface above the table, in meters.
        status: Status of the target, or the reason why there is none.
        error_m: Distance from the truth, in meters; NaN without a target.
        mahalanobis2: Squared distance in units of the stated covariance; NaN without a target.
    """

    way: str
    height_m: float
    status: str
    error_m: float
    mahalanobis2: float


def attempts_on(seeds: Iterable[int], sigma_px: float = SIGMA_PX) -> Iterator[Attempt]:
    """Place all objects of random tables that all views show."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        with TabletopScene.random(seed) as scene:
            yield from _of_scene(scene, rng, sigma_px)


def _of_scene(scene: TabletopScene, rng: np.random.Generator, sigma_px: float) -> Iterator[Attempt]:
    views, seen, depth_m = [], [], None
    for turn_deg in TURNS_DEG:
        scene.move_camera(_turned(scene.layout.camera, turn_deg))
        color, true_m = scene.render()
        if depth_m is None:
            depth_m = simulate_depth(true_m, scene.intrinsics, D435, rng)
        frame = RgbdFrame(color, None, scene.intrinsics, 1, scene.frame, depth_noise=D435)
        views.append(PosedFrame(frame, scene.base_T_camera))
        seen.append({id(each.item): each for each in scene.visible_objects(MIN_PIXELS)})
    names = [name for name in seen[0] if all(name in other for other in seen[1:])]
    if not names:
        return
    pointings = [_answer([_noisy(view[name].uv, sigma_px, rng) for name in names], posed) for view, posed in zip(seen, views)]
    first, camera = views[0].frame, views[0].world_T_camera
    truth = [seen[0][name].point_camera_m for name in names]
    plane = KnownPlane.level(BASE_FRAME, 0.0).transformed(camera.inverse())
    ways = {
        "depth": [lift_point(point, replace(first, depth_m=depth_m)) for point in pointings[0].points],
        "plane": [lift_point(point, replace(first, plane=plane)) for point in pointings[0].points],
        "two views": [found.lifted for found in join_views(pointings[:2], views[:2])],
        "three views": [found.lifted for found in join_views(pointings, views)],
    }
    middles = [camera.inverse().apply(np.array(seen[0][name].item.position_base_m), camera.target) for name in names]
    for way, placed in ways.items():
        for surface_m, middle_m, each in zip(truth, middles, placed, strict=True):
            height_m = float(camera.apply(surface_m, camera.source)[2])
            yield _attempt(way, height_m, each, middle_m if "views" in way else surface_m)


def _turned(camera: CameraPose, turn_deg: float) -> CameraPose:
    angle, eye, middle = math.radians(turn_deg), np.array(camera.eye_m), np.array(camera.look_at_m)
    turn = np.array([[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    x, y, z = middle + turn @ (eye - middle)
    return replace(camera, eye_m=(float(x), float(y), float(z)))


def _noisy(uv: np.ndarray, sigma_px: float, rng: np.random.Generator) -> ImagePoint:
    u, v = uv + rng.normal(0.0, sigma_px, 2)
    return ImagePoint(float(u), float(v), "object", 0.9, sigma_px)


def _answer(points: list[ImagePoint], posed: PosedFrame) -> Pointing:
    from molmo_point.results import Found

    size = np.array(posed.frame.size_wh)
    inside = [replace(p, u=float(np.clip(p.u, 0, size[0] - 1)), v=float(np.clip(p.v, 0, size[1] - 1))) for p in points]
    return Pointing("object", "", "", False, tuple(Found(point, None) for point in inside), {}, 1, posed.frame.frame)


def _attempt(way: str, height_m: float, placed: Target | Unreachable, true_m: np.ndarray) -> Attempt:
    if isinstance(placed, Unreachable):
        return Attempt(way, height_m, placed.reason.value, math.nan, math.nan)
    away = placed.position_m - true_m
    squared = float(away @ np.linalg.solve(placed.covariance_m2 + 1e-10 * np.eye(3), away))
    return Attempt(way, height_m, placed.depth_status.value, float(np.linalg.norm(away)), squared)


def summarize(attempts: list[Attempt]) -> dict[str, Any]:
    """Return the figures of every way."""
    ways = {}
    for way in dict.fromkeys(each.way for each in attempts):
        mine = [each for each in attempts if each.way == way]
        placed = [each for each in mine if math.isfinite(each.error_m)]
        errors = np.array([each.error_m for each in placed]) * 1e3
        reasons = sorted({each.status for each in mine if not math.isfinite(each.error_m)})
        ways[way] = {
            "placed": share([math.isfinite(each.error_m) for each in mine]),
            "median_mm": float(np.median(errors)) if len(errors) else math.nan,
            "p95_mm": float(np.quantile(errors, 0.95)) if len(errors) else math.nan,
            "gross": share([each.error_m > GROSS_M for each in placed]),
            "within_1_sigma": share([each.mahalanobis2 <= ONE_SIGMA for each in placed]),
            "within_2_sigma": share([each.mahalanobis2 <= TWO_SIGMAS for each in placed]),
            "reasons": {reason: sum(each.status == reason for each in mine) for reason in reasons},
        }
    heights = np.array([each.height_m for each in attempts if each.way == "plane"])
    told = {"mean_m": float(heights.mean()), "sigma_m": float(heights.std()), "stated_m": [HEIGHT_M, HEIGHT_SIGMA_M]}
    return {"ways": ways, "heights": told}


def table(figures: dict[str, Any]) -> str:
    """Format the figures."""

    def cell(value: dict[str, float]) -> str:
        return f"{100 * value['share']:.1f} ({100 * value['low']:.1f} to {100 * value['high']:.1f})"

    rows = [
        (
            way,
            cell(each["placed"]),
            f"{each['median_mm']:.1f}",
            f"{each['p95_mm']:.1f}",
            cell(each["gross"]),
            cell(each["within_1_sigma"]),
            cell(each["within_2_sigma"]),
            each["placed"]["trials"],
        )
        for way, each in figures["ways"].items()
    ]
    head = ("way", "placed %", "median mm", "95 % mm", "over 30 mm %", "in 1 sigma %", "in 2 sigma %", "n")
    mean_mm, sigma_mm = (1e3 * figures["heights"][name] for name in ("mean_m", "sigma_m"))
    return f"{markdown(head, rows)}\nsurfaces are {mean_mm:.1f} ± {sigma_mm:.1f} mm above the table"
