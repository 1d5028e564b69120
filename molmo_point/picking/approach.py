"""Paths to views and to grasps, all planned before anything moves."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arm.arm import Arm, ArmDriver
from molmo_point.arm.joint_path import JointPath, NoPath, NoPathReason
from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.arrays import FloatArray
from molmo_point.errors import FrameError
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.picking.event_log import no_path

_LOOKS = ((75.0, 0.0), (68.0, 35.0), (68.0, -35.0), (85.0, 0.0), (62.0, 70.0), (62.0, -70.0), (75.0, 110.0), (75.0, -110.0))
"""Elevation and azimuth of the viewpoints, degrees; azimuth 0 looks away from the arm."""
_HALF_TURN = np.diag([-1.0, -1.0, 1.0])
_TARGET_M = 0.02
HOME_S = 0.05
"""An arm this near to its home, in seconds of motion, is there."""
_LOW_M = 0.08
"""A tool lower than this above the table is among the objects."""


@dataclass(frozen=True, eq=False)
class GraspPlan:
    """A grasp with its paths.

    Attributes:
        grasp: The grasp, base frame.
        approach: Path to the start of the descent.
        descent: Straight path to the grasp.
        lift: Straight path up.
    """

    grasp: GraspCandidate
    approach: JointPath
    descent: JointPath
    lift: JointPath


def look_poses(arm: ArmDriver, camera_frame: str, at_m: FloatArray, stand_off_m: float, first: int = 0) -> Iterator[Transform]:
    """Poses of the tool from which the wrist camera sees a position upright in the middle of its image.

    Args:
        arm: Knows its hand-eye transform.
        camera_frame: Optical frame of the wrist camera.
        at_m: (3,) position to look at, meters, base frame.
        stand_off_m: Distance of the camera from the position, meters.
        first: Number of the first direction; another attempt begins with another one.
    """
    if arm.tool_T_camera(camera_frame) is None:
        return
    for number in range(len(_LOOKS)):
        elevation_deg, azimuth_deg = _LOOKS[(first + number) % len(_LOOKS)]
        yield look_pose(arm, camera_frame, at_m, stand_off_m, elevation_deg, azimuth_deg)


def look_pose(
    arm: ArmDriver,
    camera_frame: str,
    at_m: FloatArray,
    stand_off_m: float,
    elevation_deg: float,
    azimuth_deg: float,
    roll_deg: float = 0.0,
) -> Transform:
    """Pose of the tool from which the wrist camera sees a position in the middle of its image.

    Args:
        arm: Knows its hand-eye transform.
        camera_frame: Optical frame of the wrist camera.
        at_m: (3,) position to look at, meters, base frame.
        stand_off_m: Distance of the camera from the position, meters.
        elevation_deg: Angle of the view below the horizon, degrees, between 0 and 90.
        azimuth_deg: Horizontal direction of the view, degrees; 0 looks along x of the base frame.
        roll_deg: Rotation of the camera about its view, degrees; 0 is upright.

    Raises:
        FrameError: If the camera is not on the hand.
    """
    mount = arm.tool_T_camera(camera_frame)
    if mount is None:
        fix = "give the arm its hand-eye transform (molmo-point calibrate hand-eye)"
        raise FrameError("camera_frame must be of a camera on the hand", repr(camera_frame), fix)
    elevation, azimuth, roll = (math.radians(angle) for angle in (elevation_deg, azimuth_deg, roll_deg))
    level = math.cos(elevation)
    forward = np.array([level * math.cos(azimuth), level * math.sin(azimuth), -math.sin(elevation)])
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    right, down = math.cos(roll) * right + math.sin(roll) * down, math.cos(roll) * down - math.sin(roll) * right
    axes = np.stack([right, down, forward], axis=1)
    return Transform(arm.base_frame, camera_frame, axes, at_m - stand_off_m * forward) @ mount.inverse()


def plan_look(
    arm: Arm, camera_frame: str, at_m: FloatArray, stand_off_m: float, obstacles: Sequence[ObstacleBox], first: int = 0
) -> JointPath | NoPath:
    """Plan the path to the first viewpoint within reach."""
    found: JointPath | NoPath = NoPath(NoPathReason.UNREACHABLE, "the hand has no camera")
    for pose in look_poses(arm, camera_frame, at_m, stand_off_m, first):
        found = arm.plan([pose], obstacles=obstacles)
        if isinstance(found, JointPath):
            return found
    return found


def rise_path(arm: Arm, lift_m: float) -> JointPath | None:
    """Plan the way straight up for a hand that is low among the objects; None for a hand that is not, or has no way."""
    tool = arm.base_T_tool()
    if tool.translation_m[2] >= arm.table_z_m + _LOW_M:
        return None
    path = arm.plan([shifted(tool, np.array([0.0, 0.0, lift_m]))], straight=True)
    return path if isinstance(path, JointPath) else None


def home_path(arm: Arm) -> JointPath:
    """Plan the path to where the cameras see the table.

    Raises:
        PickStopped: If there is none.
    """
    path = arm.plan_home()
    if isinstance(path, NoPath):
        raise no_path(path)
    return path


def plan_grasp(
    arm: Arm, candidates: Sequence[GraspCandidate], obstacles: Sequence[ObstacleBox], at_m: FloatArray, lift_m: float
) -> GraspPlan | list[NoPath]:
    """Plan the best grasp that the arm can execute; the planner's reasons if there is none.

    Args:
        arm: The arm.
        candidates: Grasps, base frame, best first.
        obstacles: Boxes around all objects on the table.
        at_m: (3,) target, meters, base frame; the box around it is the object itself.
        lift_m: Height of the lift, meters.
    """
    others = [box for box in obstacles if gap(box, at_m) > _TARGET_M]
    reasons: list[NoPath] = []
    for candidate in candidates:
        best: GraspPlan | None = None
        for grasp in (candidate, _turned(candidate)):
            plan = _plan_one(arm, grasp, obstacles, others, lift_m)
            if isinstance(plan, NoPath):
                reasons.append(plan)
            elif best is None or plan.approach.duration_s < best.approach.duration_s:
                best = plan
        if best is not None:
            return best
    return reasons


def tool_pose(arm: ArmDriver, base_T_grasp: Transform, width_m: float) -> Transform:
    """Pose of the tool for a pose of the grasp frame and a width of the object."""
    return base_T_grasp @ arm.grasp_T_tool(width_m)


def shifted(pose: Transform, offset_m: FloatArray) -> Transform:
    """Move a pose by (3,) meters in its target frame."""
    return Transform(pose.target, pose.source, pose.rotation, pose.translation_m + offset_m)


def plan_visit(arm: Arm, *stops: tuple[Transform, Sequence[ObstacleBox]]) -> list[JointPath] | NoPath:
    """Plan a path from the present joint angles to the first pose of the tool, then straight lines to the others.

    Args:
        arm: The arm.
        stops: Poses, each with the boxes to keep clear of on the way there.
    """
    paths: list[JointPath] = []
    for pose, obstacles in stops:
        path = arm.plan([pose], paths[-1].end_rad if paths else None, straight=bool(paths), obstacles=obstacles)
        if isinstance(path, NoPath):
            return path
        paths.append(path)
    return paths


def _plan_one(
    arm: Arm, grasp: GraspCandidate, obstacles: Sequence[ObstacleBox], others: Sequence[ObstacleBox], lift_m: float
) -> GraspPlan | NoPath:
    at = tool_pose(arm, grasp.camera_T_grasp, grasp.width_m)
    before = shifted(at, -grasp.approach_distance_m * grasp.approach)
    up = shifted(at, np.array([0.0, 0.0, lift_m]))
    paths = plan_visit(arm, (before, obstacles), (at, others), (up, others))
    return paths if isinstance(paths, NoPath) else GraspPlan(grasp, *paths)


def _turned(grasp: GraspCandidate) -> GraspCandidate:
    """The same grasp with the hand rotated by half a turn about its approach."""
    pose = grasp.camera_T_grasp
    turn = Transform(pose.source, pose.source, _HALF_TURN, np.zeros(3))
    return replace(grasp, camera_T_grasp=pose @ turn)


def gap(box: ObstacleBox, at_m: FloatArray) -> float:
    """Horizontal distance from a position (3,) to a box; 0 inside."""
    local = np.abs(box.axes @ (at_m[:2] - np.array(box.center_m[:2])))
    return float(np.linalg.norm(np.maximum(local - np.array(box.half_m[:2]), 0.0)))
