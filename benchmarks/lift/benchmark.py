"""The lifting benchmark: points with known errors, lifted in scenes with exact truth, compared with peers.

All estimators answer the same points of the same depth images, one after the other in changing order.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.lift.librealsense import HoleFilling
from benchmarks.lift.peers import PEERS
from benchmarks.lift.scenes import KINDS, NEAR_TRUTH_M, WINDOW_WH, LiftScene, make_scene
from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.depth.lift import lift_point
from molmo_point.errors import DependencyError
from molmo_point.results import DepthStatus, ImagePoint, Target

OURS = "molmo-point"
OURS_CENTER = "molmo-point, prefer center"
FILLED = "librealsense hole filling"
SIGMAS_PX = (1.0, 3.0, 6.0)
POINTS = 4
FIRST_SEED = 600_000


@dataclass(frozen=True)
class Answer:
    """One point lifted by one estimator.

    Attributes:
        kind: Kind of the scene.
        camera: Name of the camera.
        sigma_px: Standard deviation of the point's error in pixels.
        estimator: Name of the estimator.
        measurable: The camera had measured enough of the target there.
        error_mm: Distance from the true position in millimeters; NaN for a refusal.
        off_mm: Distance from the surface of the target in millimeters; NaN for a refusal.
        ambiguous: The answer names a second depth.
        mahalanobis2: Squared error in units of the stated covariance; NaN without one.
        time_us: Time of the answer in microseconds.
    """

    kind: str
    camera: str
    sigma_px: float
    estimator: str
    measurable: bool
    error_mm: float
    off_mm: float
    ambiguous: bool
    mahalanobis2: float
    time_us: float

    @property
    def refused(self) -> bool:
        """True if there is no position."""
        return bool(np.isnan(self.error_mm))

    @property
    def gross(self) -> bool:
        """True if the position is more than 20 mm off the target."""
        return self.off_mm > NEAR_TRUTH_M * 1e3


@dataclass
class LiftRun:
    """All answers of a run, and its contestants."""

    answers: list[Answer] = field(default_factory=list)
    scenes: int = 0
    estimators: tuple[str, ...] = ()
    note: str = ""


Lifted = tuple[FloatArray | None, FloatArray | None, bool]
Estimate = Callable[[LiftScene, FloatArray, float], Lifted]


def run_benchmark(
    scenes: int,
    first_seed: int = FIRST_SEED,
    *,
    kinds: Iterable[str] = tuple(KINDS),
    sigmas_px: Iterable[float] = SIGMAS_PX,
    peers: bool = True,
    simulator: str = "kind",
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> LiftRun:
    """Lift `POINTS` points per sigma in every scene with every estimator.

    Args:
        scenes: Number of scenes; the kinds take turns.
        first_seed: Seed of the first scene of each kind.
        kinds: Which kinds of scenes.
        sigmas_px: Standard deviations of u and of v by which the points are off.
        peers: Also ask the other estimators.
        simulator: Depth camera, one of `SIMULATORS`.
        progress: Wraps the scenes' numbers, e.g. with a progress bar.
    """
    kinds, sigmas_px = tuple(kinds), tuple(sigmas_px)
    filling, note = _hole_filling() if peers else (None, "")
    estimators = _estimators(peers, filling is not None)
    run = LiftRun(scenes=scenes, estimators=tuple(estimators), note=note)
    for number in progress(range(scenes)):
        kind, seed = kinds[number % len(kinds)], first_seed + number // len(kinds)
        scene = make_scene(kind, seed, POINTS, simulator)
        filled = None if filling is None else _timed(lambda scene=scene: filling.fill(_depth(scene)))
        run.answers += _asked(scene, seed, sigmas_px, estimators, filled)
    if filling is not None:
        filling.close()
    return run


def _asked(
    scene: LiftScene,
    seed: int,
    sigmas_px: tuple[float, ...],
    estimators: dict[str, Estimate],
    filled: tuple[NDArray[np.float32], float] | None,
) -> Iterator[Answer]:
    rng = np.random.default_rng([seed, list(KINDS).index(scene.kind), 1])
    names = list(estimators)
    for sigma_px in sigmas_px:
        noisy = np.clip(scene.uv + rng.normal(0.0, sigma_px, scene.uv.shape), 0, np.array(WINDOW_WH) - 1.0)
        for index, uv in enumerate(noisy):
            names = names[1:] + names[:1]
            for name in names:
                shown, extra_us = scene, 0.0
                if name == FILLED and filled is not None:
                    shown, extra_us = _with_depth(scene, filled[0]), filled[1]
                (position, covariance, ambiguous), time_us = _timed(
                    lambda name=name, shown=shown, uv=uv, sigma_px=sigma_px: estimators[name](shown, uv, sigma_px)
                )
                yield _answer(scene, index, sigma_px, name, position, covariance, ambiguous, time_us + extra_us)


def _answer(
    scene: LiftScene,
    index: int,
    sigma_px: float,
    name: str,
    position: FloatArray | None,
    covariance: FloatArray | None,
    ambiguous: bool,
    time_us: float,
) -> Answer:
    error_mm = off_mm = mahalanobis2 = np.nan
    if position is not None:
        error = position - scene.points_m[index]
        error_mm = float(np.linalg.norm(error)) * 1e3
        off_mm = float(scene.target.distance(position)) * 1e3
        if covariance is not None:
            mahalanobis2 = float(error @ np.linalg.solve(covariance, error))
    measurable = bool(scene.measurable[index])
    return Answer(scene.kind, scene.camera, sigma_px, name, measurable, error_mm, off_mm, ambiguous, mahalanobis2, time_us)


def _estimators(peers: bool, filling: bool) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {OURS: _ours}
    if peers:
        found[OURS_CENTER] = lambda scene, uv, sigma_px: _ours(scene, uv, sigma_px, "center")
        found |= {name: _peer(name) for name in PEERS}
    if filling:
        found[FILLED] = _peer("single pixel")
    return found


def _ours(scene: LiftScene, uv: FloatArray, sigma_px: float, prefer: str = "near") -> Lifted:
    point = ImagePoint(float(uv[0]), float(uv[1]), "target", sigma_px=sigma_px)
    lifted = lift_point(point, scene.frame, prefer=prefer)
    if not isinstance(lifted, Target):
        return None, None, False
    return lifted.position_m, lifted.covariance_m2, lifted.depth_status is DepthStatus.AMBIGUOUS


def _peer(name: str) -> Estimate:
    estimate = PEERS[name]

    def lifted(scene: LiftScene, uv: FloatArray, sigma_px: float) -> Lifted:
        depth_m = estimate(_depth(scene), round(float(uv[0])), round(float(uv[1])))
        if not np.isfinite(depth_m) or scene.frame.intrinsics is None:
            return None, None, False
        return scene.frame.intrinsics.deproject(uv, depth_m), None, False

    return lifted


def _depth(scene: LiftScene) -> DepthArray:
    assert scene.frame.depth_m is not None
    return scene.frame.depth_m


def _with_depth(scene: LiftScene, depth_m: DepthArray) -> LiftScene:
    return replace(scene, frame=replace(scene.frame, depth_m=depth_m))


def _hole_filling() -> tuple[HoleFilling | None, str]:
    try:
        return HoleFilling(WINDOW_WH), ""
    except DependencyError as error:
        return None, f"without {FILLED}: {error.given}"


def _timed(call: Callable) -> tuple:
    start = time.perf_counter()
    result = call()
    return result, (time.perf_counter() - start) * 1e6
