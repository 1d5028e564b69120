"""One pick in one random scene: what was asked, what the arm says became of it, and what really became of it."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lift.peers import median_11
from molmo_point.depth.lift import pixel_covariance
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D435
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.pick import Picker
from molmo_point.picking.settings import PickSettings
from molmo_point.picking.states import PickResult
from molmo_point.pointer import Pointer
from molmo_point.results import DepthStatus, ImagePoint, Target, Unreachable
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.arm.truth import ArmTruth
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.tabletop.objects import signed_distance

HAND_EYE_M, HAND_EYE_RAD = 0.005, np.deg2rad(2.0)
_SEEN_PIXELS = 150
_ON_THING_M = 0.015
_PUSHED_M = 0.02


def median_lift(point: ImagePoint, frame: RgbdFrame) -> Target | Unreachable:
    """Lifts a point with the median of the 11x11 depths around it, as many projects do."""
    assert frame.depth_m is not None and frame.intrinsics is not None
    width, height = frame.size_wh
    column, row = (min(max(round(value), 0), most - 1) for value, most in ((point.u, width), (point.v, height)))
    depth_m = median_11(frame.depth_m, column, row)
    if not np.isfinite(depth_m):
        return Unreachable(point.u, point.v, point.label, DepthStatus.MISSING, "no depth in the window")
    scale = depth_m / frame.intrinsics.focal_px
    covariance = np.zeros((3, 3))
    covariance[:2, :2] = pixel_covariance(point, frame.size_wh) * scale**2
    covariance[2, 2] = float(D435.sigma_z(depth_m, frame.intrinsics.focal_px)) ** 2
    position = np.asarray(frame.intrinsics.deproject(point.uv, depth_m))
    at = (point.u, point.v, point.label, point.confidence, position, covariance, frame.frame, frame.stamp_ns)
    return Target(*at, depth_status=DepthStatus.OK, alternate_depth_m=float("nan"), valid_ratio=1.0)


@dataclass(frozen=True)
class Variant:
    """A way to pick that is measured.

    Attributes:
        settings: Of the picker.
        hand_eye_off: Whether both cameras are believed 5 mm and 2 degrees from where they are.
    """

    settings: PickSettings = field(default_factory=PickSettings)
    hand_eye_off: bool = False


VARIANTS: Mapping[str, Variant] = {
    "full": Variant(),
    "without looking again": Variant(PickSettings(look_again=False)),
    "fixed camera only": Variant(PickSettings(look_again=False, second_view=False)),
    "median depth": Variant(PickSettings(lift=median_lift)),
    "look in passing": Variant(PickSettings(look_in_passing=True)),
    "look in passing, latest transform": Variant(PickSettings(look_in_passing=True, transform_at="latest")),
    "hand-eye off by 5 mm and 2 degrees": Variant(hand_eye_off=True),
}
"""All that is measured; the first one is the product, each other one lacks something."""


@dataclass(frozen=True)
class PickTrial:
    """One pick.

    Attributes:
        seed: Of the scene.
        variant: A key of `VARIANTS`.
        query: What was asked for.
        shape: Of the object that was meant.
        objects: How many there were.
        success: The object that was meant is in the air between the fingers, and the arm says so.
        claimed: The arm says that it has it.
        wrong_object: Another object is in the air between the fingers.
        pointed_right: The target that was acted on lies on the object that was meant; False without a target.
        failure: As the arm classified it; "" when it claims success.
        message: In the arm's words.
        attempts: How many there were.
        dropped: Something fell that had been lifted.
        pushed: Other objects that were pushed by more than 2 cm.
        collisions: Contacts that should not be, with force in newtons.
        simulated_s: Command to end, and by state.
        wall_s: Likewise by the computer's clock.
        processor_s: Processor time of the whole pick, rendering and physics included.
        events: What the arm said.
    """

    seed: int
    variant: str
    query: str
    shape: str
    objects: int
    success: bool
    claimed: bool
    wrong_object: bool
    pointed_right: bool
    failure: str
    message: str
    attempts: int
    dropped: bool
    pushed: int
    collisions: tuple[str, ...]
    simulated_s: dict[str, float]
    wall_s: dict[str, float]
    processor_s: float
    events: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


def run_trial(pointer: Pointer, seed: int, variant: str = "full", pictures: Path | None = None) -> PickTrial:
    """Draws a scene, asks for one of its objects, and judges what happens.

    Args:
        pointer: The model.
        seed: Of the scene, the question, and all noise.
        variant: A key of `VARIANTS`.
        pictures: Folder for a picture of the end of each pick that fails.
    """
    rng = np.random.default_rng([seed, 9])
    way = VARIANTS[variant]
    with SimulatedArm(random_arm_layout(rng)) as arm:
        meant = _choose(arm, rng)
        item = arm.layout.objects[meant]
        views = [arm.view(name) for name in ("fixed", "wrist")]
        if way.hand_eye_off:
            for view in views:
                arm.miscalibrate(view.frame, hand_eye_error(rng, view.frame))
        cameras = [SimulatedCamera(view, seed=2 * seed + k, clock_ns=arm.now_ns) for k, view in enumerate(views)]
        truth = ArmTruth(arm)
        start = (time.perf_counter(), time.process_time())
        result = Picker(pointer, arm, *cameras, settings=way.settings).pick(item.name)
        wall_s, processor_s = time.perf_counter() - start[0], time.process_time() - start[1]
        trial = _judged(seed, variant, arm, truth, meant, result, wall_s, processor_s)
        if pictures is not None and not trial.success:
            _picture(pictures / f"{variant.replace(' ', '-')}-{seed}.png", arm)
        return trial


def hand_eye_error(rng: np.random.Generator, frame: str) -> Transform:
    """An error of 5 mm and 2 degrees in random directions."""
    shift, axis = rng.normal(size=3), rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    half = 0.5 * HAND_EYE_RAD
    quaternion = np.array([*(np.sin(half) * axis), np.cos(half)])
    return Transform.from_quaternion(frame, frame, quaternion, HAND_EYE_M * shift / np.linalg.norm(shift))


def _choose(arm: SimulatedArm, rng: np.random.Generator) -> int:
    """An object whose name fits no other one, well in the fixed camera's view."""
    names = [item.name for item in arm.layout.objects]
    geoms = arm.view("fixed").render_geoms()
    unique = [k for k, name in enumerate(names) if names.count(name) == 1]
    of_geom = [arm.model.geom(f"object_{k}_solid").id for k in range(len(names))]
    clear = [k for k in unique if np.count_nonzero(geoms == of_geom[k]) >= _SEEN_PIXELS]
    choice = clear or unique or list(range(len(names)))
    return int(rng.choice(choice))


def _judged(
    seed: int,
    variant: str,
    arm: SimulatedArm,
    truth: ArmTruth,
    meant: int,
    result: PickResult,
    wall_s: float,
    processor_s: float,
) -> PickTrial:
    lifted = truth.lifted()
    item = arm.layout.objects[meant]
    right = result.target is not None and signed_distance(item, result.target.position_m) < _ON_THING_M
    others = np.delete(truth.moved_m(), [meant, *(lifted - {meant})])
    simulated = {state.name: seconds for state, seconds in result.simulated_s.items()}
    touches = truth.collisions(meant)
    return PickTrial(
        seed=seed,
        variant=variant,
        query=item.name,
        shape=item.shape,
        objects=len(arm.layout.objects),
        success=result.success and lifted == {meant},
        claimed=result.success,
        wrong_object=bool(lifted - {meant}),
        pointed_right=bool(right),
        failure="" if result.failure is None else result.failure.value,
        message=result.message,
        attempts=result.attempts,
        dropped=bool(truth.dropped),
        pushed=int(np.count_nonzero(others > _PUSHED_M)),
        collisions=tuple(f"{touch.part} and {touch.other}: {touch.force_n:.0f} N" for touch in touches),
        simulated_s={"total": sum(simulated.values()), **simulated},
        wall_s={"total": wall_s, **{state.name: seconds for state, seconds in result.wall_s.items()}},
        processor_s=processor_s,
        events=tuple(f"{event.attempt} {event.state.name}: {event.message}" for event in result.events),
    )


def _picture(path: Path, arm: SimulatedArm) -> None:
    from PIL import Image

    shots = [arm.view(name).render_color() for name in ("fixed", "wrist", "observer")]
    Image.fromarray(np.concatenate(shots, axis=1)).save(path)
