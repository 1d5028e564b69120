"""What the picking needs of an arm: where it is, paths, a gripper, and a stop.

`sim.arm.SimulatedArm` is one; a driver of a real arm offers the same methods. Everything an arm tells comes from its
joints: it knows nothing of objects.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from molmo_point.arm.joint_path import FollowEnd, JointPath, NoPath, ObstacleBox
from molmo_point.arrays import FloatArray
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.gripper import Gripper

Cancelled = Callable[[], bool]
"""Asked again and again while something is under way; True ends it."""


@runtime_checkable
class Arm(Protocol):
    """An arm with a parallel gripper and cameras.

    Attributes:
        base_frame: The fixed frame, z up, that all poses are in.
        tool_frame: The tool frame, with the axes of `Gripper`: z approaches, y is the closing direction.
        joint_names: Of the arm, without the gripper.
        gripper: Sizes of the gripper.
        table_z_m: Height of the table top in the base frame.
    """

    base_frame: str
    tool_frame: str
    joint_names: tuple[str, ...]
    gripper: Gripper
    table_z_m: float

    def now_ns(self) -> int:
        """The time of the clock that stamps its cameras' frames, in nanoseconds."""
        ...

    def joint_positions(self) -> FloatArray:
        """Measured joint angles (n,), radians, in the order of `joint_names`."""
        ...

    def base_T_tool(self) -> Transform:
        """Where the tool is now, from the measured joints."""
        ...

    def base_T_camera(self, frame: str, stamp_ns: int | None = None) -> Transform:
        """Where a camera was when a frame was captured.

        Args:
            frame: Name of the camera's optical frame.
            stamp_ns: Capture time; None is the latest that is known.

        Raises:
            FrameError: If there is no such camera.
            InputError: If the time is not within what is remembered.
        """
        ...

    def tool_T_camera(self, frame: str) -> Transform | None:
        """The hand-eye transform of a camera on the hand; None for one that is not on the hand."""
        ...

    def grasp_T_tool(self, width_m: float) -> Transform:
        """Where the tool has to be for a grasp frame, given how wide the object is there.

        Fingers that close on an arc reach farther the more they are closed; with straight ones it is the identity.
        """
        ...

    def plan(
        self,
        poses: Sequence[Transform],
        *,
        start_rad: FloatArray | None = None,
        straight: bool = False,
        obstacles: Sequence[ObstacleBox] = (),
        opening_m: float | None = None,
    ) -> JointPath | NoPath:
        """A path of the tool through poses, checked for reach and collisions; nothing moves.

        Args:
            poses: `base_T_tool`, in this order.
            start_rad: Joint angles (n,) at the start; None is where the arm is.
            straight: Whether the tool goes in straight lines; otherwise the joints take the shortest way.
            obstacles: Kept clear of, beside the table and the arm itself.
            opening_m: Between the fingers on the way; None is as they are.
        """
        ...

    def plan_home(self, *, start_rad: FloatArray | None = None, obstacles: Sequence[ObstacleBox] = ()) -> JointPath | NoPath:
        """A path to the pose from which the cameras see the table; arguments as `plan`."""
        ...

    def follow(self, path: JointPath, *, cancelled: Cancelled | None = None, speed: float = 1.0) -> FollowEnd:
        """Go along a path that begins where the arm is, and wait until it is done.

        Args:
            path: From `plan`.
            cancelled: When it says so, or after `stop`, the arm slows down along the path and stands.
            speed: Share of its limits, above 0, at most 1.

        Returns:
            How it ended; the arm stands in every case.

        Raises:
            InputError: If the path does not begin where the arm is, or the speed is out of its range.
        """
        ...

    def move_gripper(self, width_m: float, *, cancelled: Cancelled | None = None) -> float:
        """Open or close until that wide or until the fingers meet resistance; keeps the grip force.

        Args:
            width_m: Between the fingers; 0 closes on whatever is there. Cancelling never opens the fingers.
            cancelled: When it says so, the fingers stay where they are.

        Returns:
            The measured width, in metres.
        """
        ...

    def gripper_width(self) -> float:
        """Measured distance between the fingers now, in metres."""
        ...

    def wait(self, seconds: float) -> None:
        """Hold still for that long, by the arm's own clock."""
        ...

    def stop(self) -> None:
        """Slow down and stand, holding what is held; may be called from another thread."""
        ...
