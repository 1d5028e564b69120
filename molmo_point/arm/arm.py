"""The two abilities of an arm: a driver that moves it, and a planner that finds paths for it.

An `Arm` is a driver with a planner. Everything that an arm reports comes from its joints: it knows nothing of objects.
"""

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from molmo_point.arm.joint_path import FollowEnd, JointPath, NoPath
from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.arm.stop_latch import Permit, StopLatch
from molmo_point.arrays import FloatArray
from molmo_point.camera.base import Camera, Closing
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME
from molmo_point.grasp.gripper import Gripper

Cancelled = Callable[[], bool]
"""Polled while the arm is busy; True ends the motion."""
_D = TypeVar("_D", bound="ArmDriver")


class ArmDriver(Closing):
    """An arm with a parallel gripper: its state, motion along paths, and a stop.

    A driver is a context manager that closes itself. Only `stop`, `stopped` and `resume` may be used from a second thread.

    A stop is latched: after `stop`, nothing moves until `resume`. A driver keeps to it with `interrupted`.

    Attributes:
        stop_latch: Remembers a stop; every driver has one from the start.
        base_frame: Name of the fixed frame of all poses; z points up.
        tool_frame: Name of the tool frame, with the axes of `Gripper`: z approaches, y is the closing direction.
        joint_names: Names of the n joints, without the gripper.
        home_rad: (n,) joint angles from which the cameras see the table, radians.
        gripper: Dimensions of the gripper.
        table_z_m: Height of the table top, meters, base frame.
        camera_frames: Optical frames of the cameras that `open_camera` opens, by name; "fixed" sees the whole table,
            "wrist" is on the hand.
        waits_in_real_time: True if `wait` takes real time.
    """

    base_frame: str
    tool_frame: str
    joint_names: tuple[str, ...]
    home_rad: FloatArray
    gripper: Gripper
    table_z_m: float = 0.0
    camera_frames: Mapping[str, str] = MappingProxyType({})
    waits_in_real_time: bool = True
    stop_latch: StopLatch

    def __new__(cls: type[_D], *_: Any, **__: Any) -> _D:
        # A driver need not call `super().__init__()`.
        self = object.__new__(cls)
        self.stop_latch = StopLatch()
        return self

    def __init_subclass__(cls, **options: Any) -> None:
        """Latch a stop also where a driver has its own `stop`, whatever that calls."""
        super().__init_subclass__(**options)
        own = vars(cls).get("stop")
        if own is None:
            return

        @functools.wraps(own)
        def stop(self: ArmDriver) -> None:
            self.stop_latch.stop()
            own(self)

        cls.stop = stop

    def stop(self) -> None:
        """Slow down and stand, keep the grip, and refuse all motion until `resume`. Any thread may call it."""
        self.stop_latch.stop()
        self.brake()

    @property
    def stopped(self) -> bool:
        """True after `stop`, until `resume`."""
        return self.stop_latch.stopped

    def resume(self) -> Permit:
        """Allow motion again. Each new command resumes when it is accepted, and carries the permit.

        Returns:
            The permit, which the next stop revokes for ever.
        """
        return self.stop_latch.resume()

    def brake(self) -> None:
        """Tell the hardware to slow down and stand, from any thread. Default: `follow` and `move_gripper` notice a stop."""

    def interrupted(self, cancelled: Cancelled | None = None) -> Cancelled:
        """Make the function that a driver polls during a motion, and once before it.

        Args:
            cancelled: Argument of `follow` or `move_gripper`.

        Returns:
            A function that is True while the arm is stopped, after any stop since this call, and if `cancelled` is.
        """
        latch, permit = self.stop_latch, self.stop_latch.watch()
        return lambda: latch.stopped or permit.revoked or (cancelled is not None and cancelled())

    @abstractmethod
    def joint_positions(self) -> FloatArray:
        """Measured joint angles (n,), radians, in the order of `joint_names`."""

    @abstractmethod
    def base_T_tool(self) -> Transform:
        """Pose of the tool now, from the measured joints."""

    @abstractmethod
    def base_T_camera(self, frame: str, stamp_ns: int | None = None) -> Transform:
        """Pose of a camera at a capture time.

        Args:
            frame: Name of the camera's optical frame.
            stamp_ns: Capture time; None is the latest known.

        Raises:
            FrameError: If the arm knows no camera of this frame.
            InputError: If the time is out of the range of the history.
        """

    @abstractmethod
    def follow(self, path: JointPath, *, cancelled: Cancelled | None = None, speed: float = 1.0) -> FollowEnd:
        """Follow a path that begins at the present joint angles, and wait for its end.

        A stopped arm stays where it is.

        Args:
            path: From an `ArmPlanner`.
            cancelled: When it returns True, or after `stop`, the arm slows down along the path and stands within 0.35 s.
            speed: Share of the speed limits, above 0, at most 1.

        Returns:
            The way it ended; the arm stands in every case.

        Raises:
            InputError: If the path begins elsewhere, or the speed is out of range.
        """

    @abstractmethod
    def move_gripper(self, width_m: float, *, cancelled: Cancelled | None = None) -> float:
        """Open or close to a width, or until the fingers meet resistance; the grip force stays.

        The fingers of a stopped arm stay where they are.

        Args:
            width_m: Distance between the fingers; 0 closes on the object between them. Cancelling never opens them.
            cancelled: When it returns True, or after `stop`, the fingers stay where they are. Fingers that press on an
                object keep pressing.

        Returns:
            The measured width, in meters.
        """

    @abstractmethod
    def gripper_width(self) -> float:
        """Measured distance between the fingers now, in meters."""

    def is_gripping(self) -> bool | None:
        """Return True if the fingers press on something now, False if on nothing. Default: None, they do not tell."""

    def now_ns(self) -> int:
        """Time of the clock that stamps the cameras' frames, in nanoseconds. Default: the system clock."""
        return time.time_ns()

    def wait(self, seconds: float) -> None:
        """Hold still for a time by the arm's clock. Default: sleep."""
        time.sleep(seconds)

    def tool_T_camera(self, frame: str) -> Transform | None:
        """Hand-eye transform of a camera on the hand. Default: None, the camera is not on the hand."""
        del frame

    def grasp_T_tool(self, width_m: float) -> Transform:
        """Pose of the tool in the grasp frame for an object of a width.

        Fingers that close on an arc reach farther as they close. Default: straight fingers, the identity.
        """
        del width_m
        return Transform(GRASP_FRAME, self.tool_frame, np.eye(3), np.zeros(3))

    def open_camera(self, name: str, *, clock_ns: Callable[[], int] | None = None) -> Camera:
        """Open a camera of the arm. Default: the arm brings none.

        Args:
            name: A name in `camera_frames`.
            clock_ns: Clock of the frames' stamps; None is the arm's.

        Raises:
            InputError: If the arm has no camera of this name.
        """
        del clock_ns
        raise InputError("name must be a camera of the arm", repr(name), f"use one of: {', '.join(self.camera_frames) or 'none'}")

    def spend_answer_time(self) -> None:
        """Let the arm's clock advance by the time of one answer of the model. Default: the clock runs by itself."""

    def close(self) -> None:
        """Free the arm. Default: nothing to free."""

    def __exit__(self, kind: object = None, *_: object) -> None:
        """Close the arm; after an error or Ctrl-C it is told to stop first."""
        try:
            if kind is not None:
                self.stop()
        finally:
            self.close()


class ArmPlanner(ABC):
    """Finds joint paths that are within reach and touch nothing; moves nothing."""

    @abstractmethod
    def plan(
        self,
        poses: Sequence[Transform],
        start_rad: FloatArray,
        *,
        straight: bool = False,
        obstacles: Sequence[ObstacleBox] = (),
    ) -> JointPath | NoPath:
        """Plan a path of the tool through poses, with open fingers.

        Args:
            poses: `base_T_tool`, in this order.
            start_rad: Joint angles (n,) at the start.
            straight: True moves the tool in straight lines; False takes the shortest way in the joints.
            obstacles: Boxes to keep clear of, besides the table and the arm itself.

        Raises:
            FrameError: If a pose is not `base_T_tool`.
        """

    @abstractmethod
    def plan_joints(self, goal_rad: FloatArray, start_rad: FloatArray) -> JointPath | NoPath:
        """Plan a path to joint angles (n,) that keeps clear of the table and the arm itself."""


class Arm(ArmDriver):
    """A driver with a planner: an arm that can pick.

    Attributes:
        planner: Finds the paths.
    """

    planner: ArmPlanner

    def plan(
        self,
        poses: Sequence[Transform],
        start_rad: FloatArray | None = None,
        *,
        straight: bool = False,
        obstacles: Sequence[ObstacleBox] = (),
    ) -> JointPath | NoPath:
        """Plan as `ArmPlanner.plan`, from the present joint angles if `start_rad` is None."""
        start = self.joint_positions() if start_rad is None else start_rad
        return self.planner.plan(poses, start, straight=straight, obstacles=obstacles)

    def plan_home(self) -> JointPath | NoPath:
        """Plan a path from the present joint angles to `home_rad`."""
        return self.planner.plan_joints(self.home_rad, self.joint_positions())
