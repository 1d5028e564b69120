"""Pickers that each lack one part of the product, or have an error that real arms have."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.lift.peers import median_11
from molmo_point.arm.joint_path import JointPath
from molmo_point.camera.base import Camera
from molmo_point.depth.lift import pixel_covariance
from molmo_point.evaluation.pick_trial import MakePicker, default_picker
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.fresh_frames import FreshFrames
from molmo_point.picking.object_search import Finder
from molmo_point.picking.pick import Picker
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.views import Looker
from molmo_point.pointer import Pointer
from molmo_point.results import DepthStatus, ImagePoint, Target, Unreachable
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.stereo_faults import SIMULATED_D435

HAND_EYE_M, HAND_EYE_RAD = 0.005, np.deg2rad(2.0)


class MedianLooker(Looker):
    """Lifts a point with the median of the 11x11 depths around it, as many projects do."""

    def lift(self, point: ImagePoint, frame: RgbdFrame) -> Target | Unreachable:
        """Lift an image point; the background wins where it fills most of the window."""
        assert frame.depth_m is not None and frame.intrinsics is not None
        width, height = frame.size_wh
        column, row = (min(max(round(value), 0), most - 1) for value, most in ((point.u, width), (point.v, height)))
        depth_m = median_11(frame.depth_m, column, row)
        if not np.isfinite(depth_m):
            return Unreachable(point.u, point.v, point.label, DepthStatus.MISSING, "no depth in the window")
        scale = depth_m / frame.intrinsics.focal_px
        covariance = np.zeros((3, 3))
        covariance[:2, :2] = pixel_covariance(point, frame.size_wh) * scale**2
        covariance[2, 2] = float(SIMULATED_D435.sigma_z(depth_m, frame.intrinsics.focal_px)) ** 2
        position = np.asarray(frame.intrinsics.deproject(point.uv, depth_m))
        at = (point.u, point.v, point.label, point.confidence, position, covariance, frame.frame, frame.stamp_ns)
        return Target(*at, depth_status=DepthStatus.OK, alternate_depth_m=float("nan"), valid_ratio=1.0)


class LatestLooker(Looker):
    """Takes the camera's pose at the answer instead of the one at the capture."""

    def camera_pose(self, frame: RgbdFrame) -> Transform:
        """`base_T_camera` now."""
        return self._arm.base_T_camera(frame.frame)


class PassingFinder(Finder):
    """Looks again while the arm moves."""

    def read_after(self, path: JointPath, camera: FreshFrames) -> RgbdFrame:
        """Follow a path, and read a camera on its last part."""
        frames: list[RgbdFrame] = []
        due_ns = self._arm.now_ns() + round(0.8 * path.duration_s * 1e9)

        def watch() -> bool:
            if not frames and self._arm.now_ns() >= due_ns:
                frames.append(camera.camera.read())
            return False

        self.go(path, cancelled=watch)
        return frames[0] if frames else camera.read()


@dataclass(frozen=True)
class Variant:
    """Makes a picker with other parts.

    Attributes:
        finder: Class of the finder.
        looker: Class of the looker.
        settings: Settings of the picker; None takes the defaults.
        has_wrist_camera: False leaves the wrist camera out.
    """

    finder: type[Finder] = Finder
    looker: type[Looker] = Looker
    settings: PickSettings | None = None
    has_wrist_camera: bool = True

    def __call__(
        self, pointer: Pointer, arm: SimulatedArm, fixed_camera: Camera, wrist_camera: Camera, rng: np.random.Generator
    ) -> Picker:
        """Make the picker; see `MakePicker`."""
        del rng
        picker = Picker(pointer, arm, fixed_camera, wrist_camera if self.has_wrist_camera else None, self.settings)
        looker = self.looker(pointer, picker.guarded)
        picker.finder = self.finder(picker.guarded, looker, fixed_camera, picker.wrist_camera, picker.settings)
        return picker


def _miscalibrated(
    pointer: Pointer, arm: SimulatedArm, fixed_camera: Camera, wrist_camera: Camera, rng: np.random.Generator
) -> Picker:
    """Give both cameras a hand-eye error."""
    for name in ("fixed", "wrist"):
        frame = arm.view(name).frame
        arm.miscalibrate(frame, hand_eye_error(rng, frame))
    return default_picker(pointer, arm, fixed_camera, wrist_camera, rng)


def hand_eye_error(rng: np.random.Generator, frame: str) -> Transform:
    """Draw an error of 5 mm and 2 degrees in random directions."""
    shift, axis = rng.normal(size=3), rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    half = 0.5 * HAND_EYE_RAD
    quaternion = np.array([*(np.sin(half) * axis), np.cos(half)])
    return Transform.from_quaternion(frame, frame, quaternion, HAND_EYE_M * shift / np.linalg.norm(shift))


PRODUCT = "full"
ABLATIONS: Mapping[str, MakePicker] = {
    PRODUCT: default_picker,
    "without looking again": Variant(settings=PickSettings(max_looks=0)),
    "fixed camera only": Variant(has_wrist_camera=False),
    "median depth": Variant(looker=MedianLooker),
    "look in passing": Variant(finder=PassingFinder),
    "look in passing, latest transform": Variant(finder=PassingFinder, looker=LatestLooker),
    "hand-eye off by 5 mm and 2 degrees": _miscalibrated,
}
"""Pickers to compare, by name; the first one is the product."""
