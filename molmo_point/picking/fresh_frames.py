"""Frames that decisions may rest on: younger than the last motion, never seen before, and with depth of the table."""

import time

import numpy as np

from molmo_point.arm.obstacle_boxes import share_with_depth
from molmo_point.arrays import FloatArray
from molmo_point.camera.base import Camera
from molmo_point.depth.alignment_monitor import PERIOD_S, AlignmentMonitor
from molmo_point.errors import CameraError
from molmo_point.frame import RgbdFrame
from molmo_point.picking.event_log import PickStopped
from molmo_point.picking.guarded_arm import GuardedArm, described
from molmo_point.picking.states import PickFailure

_FRAME_S = 1 / 30
_YOUNGER_S, _MOST_FRAMES = 2.0, 90
"""Longest wait for a frame that is young enough, by the arm's clock, and largest number of frames read."""
_READ_S, _READS = 1.0, 5
"""Longest wait of one `read`, so that a stop is noticed meanwhile, and number of waits until the camera counts as lost."""
_FUTURE_NS = 100_000_000
_MOVED_RAD = 0.02
LEAST_DEPTH = 0.5
"""Least share of the fixed camera's pixels on the table that measure it or an object on it."""


class FreshFrames:
    """Reads a camera for the decisions of a command; depth that does not fit its color images is doubted.

    Args:
        arm: Tells the end of its last motion.
        camera: The camera.
        name: The camera in words.

    Attributes:
        camera: The camera given.
    """

    def __init__(self, arm: GuardedArm, camera: Camera, name: str) -> None:
        self._arm, self.camera, self._name = arm, camera, name
        # The first commands of a short session pay nothing for it.
        self._alignment = AlignmentMonitor(delay_s=PERIOD_S)
        self._last: RgbdFrame | None = None
        self._last_rad: FloatArray | None = None

    def begin(self) -> None:
        """Begin a command; the scene may have changed or not since the last frame."""
        self._last_rad = None

    def read(self, *, whole_table: bool = False) -> RgbdFrame:
        """Wait for a frame that is younger than the last motion, and that is new.

        Args:
            whole_table: True requires depth of the table.

        Raises:
            PickStopped: STALE_FRAME if no such frame comes, CAMERA_FAILED, NO_DEPTH, NO_TRANSFORM, or CANCELLED.
        """
        # The exposure of the next frame begins after everything stands still.
        self._arm.wait(_FRAME_S)
        late_ns, why = self._arm.now_ns() + round(_YOUNGER_S * 1e9), ""
        for _ in range(_MOST_FRAMES):
            frame = self._next()
            why = self._staleness(frame)
            if not why:
                self._last, self._last_rad = frame, self._arm.joint_positions()
                if whole_table:
                    self._require_depth(frame)
                return self._alignment.watched(frame)
            if self._arm.now_ns() >= late_ns:
                break
            self._arm.wait(_FRAME_S)
        raise PickStopped(PickFailure.STALE_FRAME, f"{self._name} gives no new frame: {why}", again=False)

    def _next(self) -> RgbdFrame:
        for number in range(_READS):
            self._arm.check()
            began_s = time.monotonic()
            try:
                frame = self.camera.read(_READ_S)
            except Exception as error:
                waited = isinstance(error, CameraError) and time.monotonic() - began_s > 0.9 * _READ_S
                if not waited or number == _READS - 1:
                    said = f"{self._name}: {described(error)}"
                    raise PickStopped(PickFailure.CAMERA_FAILED, said, again=False) from error
                continue
            self._arm.check()
            if not isinstance(frame, RgbdFrame):
                break
            return frame
        raise PickStopped(PickFailure.CAMERA_FAILED, f"{self._name} gives no frames", again=False)

    def _staleness(self, frame: RgbdFrame) -> str:
        """Reason why a frame is not of now; "" if it is."""
        depth_ns = frame.stamp_ns if frame.depth_stamp_ns is None else frame.depth_stamp_ns
        age_ns = self._arm.still_since_ns - min(frame.stamp_ns, depth_ns)
        if age_ns > 0:
            return f"its frame is {age_ns * 1e-9:.3f} s older than the end of the last motion"
        if frame.stamp_ns > self._arm.now_ns() + _FUTURE_NS:
            return "its frame is of the future; the camera must be stamped by the arm's clock"
        if self._last is not None and frame.stamp_ns <= self._last.stamp_ns:
            return "it repeats its last frame"
        return "it repeats the image of its last frame under a new time" if self._is_repeated(frame) else ""

    def _is_repeated(self, frame: RgbdFrame) -> bool:
        """True if the content is that of the last frame although it must differ.

        Noise differs from frame to frame, and a camera that moved, or in whose view the arm moved, sees another picture. A
        simulated camera without noise may see the same picture twice.
        """
        last, depth, color = self._last, False, False
        if last is None:
            return False
        if frame.depth_m is not None and last.depth_m is not None:
            depth = bool(np.isfinite(frame.depth_m).any()) and np.array_equal(frame.depth_m, last.depth_m, equal_nan=True)
            if depth and frame.depth_noise is not None:
                return True
        if self._last_rad is None or not np.abs(self._arm.joint_positions() - self._last_rad).max() > _MOVED_RAD:
            return False
        color = np.array_equal(frame.color, last.color)
        on_hand = self._arm.tool_T_camera(frame.frame) is not None
        return (color or depth) if on_hand else (color and (depth or frame.depth_m is None))

    def _require_depth(self, frame: RgbdFrame) -> None:
        if frame.depth_m is None or frame.intrinsics is None:
            lacking = "depth" if frame.depth_m is None else "intrinsics"
            raise PickStopped(PickFailure.NO_DEPTH, f"{self._name} gives no {lacking}: obstacles are not known", again=False)
        pose = self._arm.base_T_camera(frame.frame, frame.stamp_ns)
        share = share_with_depth(frame.depth_m, frame.intrinsics, pose, table_z_m=self._arm.table_z_m)
        if not share >= LEAST_DEPTH:
            said = f"{self._name} measures {share:.0%} of the table, needed {LEAST_DEPTH:.0%}: obstacles are not known"
            raise PickStopped(PickFailure.NO_DEPTH, said, again=False)
