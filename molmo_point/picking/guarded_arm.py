"""The arm as one command sees it: stops count between motions too, and errors, NaN and contradictions end the command."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from molmo_point.arm.arm import Arm, Cancelled
from molmo_point.arm.joint_path import FollowEnd, JointPath, NoPath
from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.arm.stop_latch import Permit
from molmo_point.arrays import FloatArray
from molmo_point.geometry.poses import pose_difference
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.event_log import EventLog, PickStopped, until
from molmo_point.picking.states import PickFailure

_ARRIVED_RAD = 0.05
"""Largest distance of a joint from the end of a path that was followed."""
_JUMP_M, _JUMP_RAD = 0.01, 0.03
"""Largest difference of two poses of a camera that are one."""
_LEAST_WIDTH_M = -0.005
_GOAL_M, _GOAL_RAD = 0.05, 0.3
"""Largest distance of the tool from the pose for which a path was planned, once the path was followed."""


@contextmanager
def errors_as(failure: PickFailure, whose: str) -> Iterator[None]:
    """Turn every error into a `PickStopped` that allows no further attempt.

    Args:
        failure: Reason of the failure.
        whose: Origin of the errors, for people.
    """
    try:
        yield
    except PickStopped:
        raise
    except Exception as error:
        raise PickStopped(failure, f"{whose}: {described(error)}", again=False) from error


def described(error: BaseException) -> str:
    """Kind and text of an error in one line, clipped."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


class GuardedArm(Arm):
    """An arm during one command of a picker.

    Every method may raise `PickStopped`: CANCELLED once the command has ended; COLLISION if something blocks the arm;
    NO_TRANSFORM for a camera without a pose, or with one that jumps; ARM_FAILED for errors, NaN, and an arm that does not get
    where it was sent. After an error during a motion the arm is stopped.

    Args:
        arm: The arm.

    Attributes:
        still_since_ns: End of the last motion by the arm's clock, nanoseconds.
    """

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._cancelled: Cancelled = lambda: False
        self._is_over = False
        # Poses of the fixed cameras in this command; between two commands a camera may be moved.
        self._poses: dict[str, Transform] = {}
        self._goals: list[tuple[JointPath, Transform]] = []
        self._last_ns = self.still_since_ns = 0

    def carry_out(self, log: EventLog, permit: Permit | None, resumes: bool, work: Callable[[], None]) -> PickStopped | None:
        """Carry out a command from its start to its end; return what ended it too early.

        Args:
            log: Tells if the command is cancelled, and notes so from now on if it is stopped.
            permit: From `arm.resume()`, called when the command was accepted; None takes one now.
            resumes: True lets a permit taken now resume a stopped arm.
            work: The command.
        """
        try:
            if permit is None:
                with errors_as(PickFailure.ARM_FAILED, "the arm"):
                    permit = self._arm.resume() if resumes else self._arm.stop_latch.watch()
            self.begin(until(permit, log.cancelled))
            log.cancelled = self.ended
            self.check()
            work()
            self.check()
        except PickStopped as stopped:
            return stopped
        except Exception as error:
            return PickStopped(PickFailure.UNEXPECTED, described(error), again=False)
        except BaseException:
            self.stop()
            raise
        return None

    def begin(self, cancelled: Cancelled) -> None:
        """Begin a command, which ends once `cancelled` was True."""
        self._cancelled, self._is_over = cancelled, False
        self._poses.clear()
        self._goals.clear()
        with errors_as(PickFailure.ARM_FAILED, "the arm"):
            arm = self._arm
            self.base_frame, self.tool_frame, self.joint_names = arm.base_frame, arm.tool_frame, arm.joint_names
            self.home_rad, self.gripper, self.table_z_m = arm.home_rad, arm.gripper, arm.table_z_m
            self.still_since_ns = self.now_ns()

    def ended(self) -> bool:
        """Return True once the command is cancelled or stopped."""
        self._is_over = self._is_over or self._cancelled()
        return self._is_over

    def check(self) -> None:
        """End the command if it is cancelled or stopped."""
        if self.ended():
            raise PickStopped(PickFailure.CANCELLED, "cancelled, or the arm was stopped", again=False)

    def stop(self) -> None:
        """Stop the arm, whatever state it is in."""
        try:
            self._arm.stop()
        except Exception:
            # An arm that cannot be reached cannot be stopped either; the first error tells it.
            return

    def clock_ns(self) -> int:
        """Time of the arm's clock, nanoseconds; the last known one if the arm does not tell it."""
        try:
            self._last_ns = int(self._arm.now_ns())
        except Exception:
            return self._last_ns
        return self._last_ns

    def now_ns(self) -> int:
        self._last_ns = self._told(lambda: int(self._arm.now_ns()))
        return self._last_ns

    def wait(self, seconds: float) -> None:
        self._told(lambda: self._arm.wait(seconds))

    def spend_answer_time(self) -> None:
        self._told(self._arm.spend_answer_time)

    def joint_positions(self) -> FloatArray:
        joints = self._told(lambda: np.asarray(self._arm.joint_positions(), dtype=np.float64))
        if not np.all(np.isfinite(joints)):
            raise PickStopped(PickFailure.ARM_FAILED, f"the arm's joint angles are not finite: {joints.tolist()}", again=False)
        return joints

    def base_T_tool(self) -> Transform:
        return self._told(self._arm.base_T_tool)

    def grasp_T_tool(self, width_m: float) -> Transform:
        return self._told(lambda: self._arm.grasp_T_tool(width_m))

    def tool_T_camera(self, frame: str) -> Transform | None:
        with errors_as(PickFailure.NO_TRANSFORM, f"the pose of the camera {frame!r} on the hand"):
            return self._arm.tool_T_camera(frame)

    def base_T_camera(self, frame: str, stamp_ns: int | None = None) -> Transform:
        """Pose of a camera at a capture time, compared with what is known of it.

        A fixed camera stays where it was at its last frame. A camera on the hand is where the hand carries it.
        """
        with errors_as(PickFailure.NO_TRANSFORM, f"the pose of the camera {frame!r}"):
            pose = self._arm.base_T_camera(frame, stamp_ns)
            if (pose.target, pose.source) != (self.base_frame, frame) or not np.all(np.isfinite(pose.matrix)):
                said = f"the arm gives {pose.target}_T_{pose.source} for {self.base_frame}_T_{frame}"
                raise PickStopped(PickFailure.NO_TRANSFORM, said, again=False)
            if stamp_ns is not None:
                self._require_no_jump(frame, pose, stamp_ns)
            return pose

    def _require_no_jump(self, frame: str, pose: Transform, stamp_ns: int) -> None:
        mount = self.tool_T_camera(frame)
        if mount is not None:
            known = self.base_T_tool() @ mount if stamp_ns >= self.still_since_ns else pose
        else:
            known = self._poses.setdefault(frame, pose)
        away_m, turn_rad = pose_difference(pose, known)
        if not (away_m <= _JUMP_M and turn_rad <= _JUMP_RAD):
            jump = f"{away_m * 1e3:.0f} mm and {np.degrees(turn_rad):.1f} degrees"
            raise PickStopped(PickFailure.NO_TRANSFORM, f"the pose of the camera {frame!r} jumped by {jump}", again=False)

    def follow(self, path: JointPath, *, cancelled: Cancelled | None = None, speed: float = 1.0) -> FollowEnd:
        """Follow a path to its end; `cancelled` counts in addition to the end of the command."""
        self.check()
        end = self._moved(lambda: self._arm.follow(path, cancelled=self._until(cancelled), speed=speed))
        if end is FollowEnd.BLOCKED:
            self.check()
            raise PickStopped(PickFailure.COLLISION, "something blocked the arm on its way")
        if end is not FollowEnd.DONE:
            raise PickStopped(PickFailure.CANCELLED, "the arm was stopped on its way", again=False)
        self.check()
        off_rad = float(np.abs(self.joint_positions() - path.end_rad).max())
        if not off_rad <= _ARRIVED_RAD:
            raise PickStopped(PickFailure.ARM_FAILED, f"the arm ended {off_rad:.2f} rad off its path", again=False)
        for goal in (goal for planned, goal in self._goals if planned is path):
            self._require_at(goal)
        return end

    def _require_at(self, goal: Transform) -> None:
        """Compare the tool's pose with its goal: a planner's path may lead elsewhere."""
        away_m, turn_rad = pose_difference(self.base_T_tool(), goal)
        if not (away_m <= _GOAL_M and turn_rad <= _GOAL_RAD):
            raise PickStopped(PickFailure.ARM_FAILED, f"the planned path ended {away_m * 1e3:.0f} mm off its goal", again=False)

    def move_gripper(self, width_m: float, *, cancelled: Cancelled | None = None) -> float:
        """Move the fingers until they stand, also where a stop leaves them; `check` tells."""
        self.check()
        self._moved(lambda: self._arm.move_gripper(width_m, cancelled=self._until(cancelled)))
        return self.gripper_width()

    def gripper_width(self) -> float:
        width = self._told(lambda: float(self._arm.gripper_width()))
        if not _LEAST_WIDTH_M <= width <= 2.0 * self.gripper.max_opening_m:
            raise PickStopped(PickFailure.ARM_FAILED, f"the gripper's width cannot be {width} m", again=False)
        return width

    def is_gripping(self) -> bool | None:
        return self._told(self._arm.is_gripping)

    def plan(
        self,
        poses: Sequence[Transform],
        start_rad: FloatArray | None = None,
        *,
        straight: bool = False,
        obstacles: Sequence[ObstacleBox] = (),
    ) -> JointPath | NoPath:
        start = self.joint_positions() if start_rad is None else start_rad
        path = self._told(lambda: self._arm.plan(poses, start, straight=straight, obstacles=obstacles))
        if isinstance(path, JointPath):
            self._goals.append((path, poses[-1]))
        elif not isinstance(path, NoPath):
            said = f"the planner gives {type(path).__name__}, neither a path nor a reason"
            raise PickStopped(PickFailure.ARM_FAILED, said, again=False)
        return path

    def plan_home(self) -> JointPath | NoPath:
        self.joint_positions()
        return self._told(self._arm.plan_home)

    def _until(self, cancelled: Cancelled | None) -> Cancelled:
        return lambda: self.ended() or (cancelled is not None and cancelled())

    def _told(self, ask: Callable[[], Any]) -> Any:
        with errors_as(PickFailure.ARM_FAILED, "the arm"):
            return ask()

    def _moved(self, motion: Callable[[], Any]) -> Any:
        """Do a motion; an error in it stops the arm, and so does Ctrl-C."""
        try:
            with errors_as(PickFailure.ARM_FAILED, "the arm, in motion"):
                return motion()
        except BaseException:
            self.stop()
            raise
        finally:
            self.still_since_ns = self.clock_ns()
