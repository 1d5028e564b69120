"""An arm that jumps where it is sent, above a table of boxes that its two cameras see by casting rays."""

import numpy as np

from molmo_point.arm.arm import Arm, ArmPlanner
from molmo_point.arm.joint_path import FollowEnd, JointPath, NoPath, NoPathReason
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D435
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import rotation_exp, rotation_log
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.gripper import Gripper

NAMES = ("x", "y", "z", "rx", "ry", "rz")
FIXED_CAMERA, WRIST_CAMERA = (
    Intrinsics(width, 3 * width // 4, 1.25 * width, 1.25 * width, width / 2 - 0.5, 3 * width / 8 - 0.5) for width in (320, 160)
)
MOUNT = Transform("tool", "wrist_optical", np.eye(3), np.array([0.0, -0.08, -0.12]))
DOWN = np.diag([1.0, -1.0, -1.0])
FIXED = Transform("base", "fixed_optical", DOWN, np.array([0.0, 0.0, 0.6]))
HOME = np.array([0.0, 0.0, 0.55, np.pi, 0.0, 0.0])
SURFACES = np.array([[90, 90, 90], [200, 40, 40], [40, 200, 40], [40, 40, 200]], np.uint8)


def pose_of(joints):
    return Transform("base", "tool", rotation_exp(joints[3:]), joints[:3])


def joints_of(pose):
    return np.concatenate([pose.translation_m, rotation_log(pose.rotation)])


class BoxPlanner(ArmPlanner):
    """Straight lines of the tool, up to `reach_m` from the middle of the table, past all boxes."""

    def __init__(self):
        self.reach_m, self.planned, self.obstacles = 1.0, 0, ()

    def plan(self, poses, start_rad, *, straight=False, obstacles=()):
        self.planned, self.obstacles = self.planned + 1, tuple(obstacles)
        goal = joints_of(poses[-1])
        if np.linalg.norm(goal[:2]) > self.reach_m:
            return NoPath(NoPathReason.UNREACHABLE, "too far away")
        way = np.linspace(start_rad[:3], goal[:3], 30)
        for box in obstacles:
            near = np.abs((way[:, :2] - box.center_m[:2]) @ box.axes.T) <= np.array(box.half_m[:2]) + 0.02
            if (near.all(axis=1) & (way[:, 2] < box.top_m + 0.02)).any():
                return NoPath(NoPathReason.COLLISION, "the tool would touch a box")
        return self._path(start_rad, goal)

    def plan_joints(self, goal_rad, start_rad):
        return self._path(start_rad, goal_rad)

    def _path(self, start_rad, goal_rad):
        duration_s = float(np.linalg.norm(np.asarray(goal_rad)[:3] - np.asarray(start_rad)[:3])) / 0.5
        return JointPath(NAMES, np.array([start_rad, goal_rad]), duration_s)


class JumpingArm(Arm):
    """Its joints are the position and the rotation vector of the tool; `sent` holds every motion."""

    base_frame, tool_frame, joint_names = "base", "tool", NAMES
    home_rad, gripper = HOME, Gripper(max_opening_m=0.085)

    def __init__(self):
        self.planner, self.joints, self.time_ns, self.sent = BoxPlanner(), HOME.copy(), 1_000_000_000, []
        self.holds, self.before_motion = False, lambda arm: None

    def now_ns(self):
        return self.time_ns

    def wait(self, seconds):
        self.time_ns += round(seconds * 1e9)

    def joint_positions(self):
        return self.joints

    def base_T_tool(self):
        return pose_of(self.joints)

    def tool_T_camera(self, frame):
        return MOUNT if frame == MOUNT.source else None

    def base_T_camera(self, frame, stamp_ns=None):
        return self.base_T_tool() @ MOUNT if frame == MOUNT.source else FIXED

    def follow(self, path, *, cancelled=None, speed=1.0):
        self.before_motion(self)
        if self.interrupted(cancelled)():
            return FollowEnd.CANCELLED
        assert np.allclose(path.positions_rad[0], self.joints)
        self.sent.append((path, self.time_ns))
        self.wait(path.duration_s / speed)
        self.joints = path.end_rad
        return FollowEnd.DONE

    def move_gripper(self, width_m, *, cancelled=None):
        raise AssertionError("circling moves no finger")

    def gripper_width(self):
        return 0.04

    def is_gripping(self):
        return self.holds


class BoxCamera:
    """Sees the table, and boxes (center (3,), half extents (3,)) on it; `change` may alter each frame."""

    def __init__(self, arm, frame, boxes):
        self.arm, self.name, self.boxes, self.rng = arm, frame, boxes, np.random.default_rng(0)
        self.camera, self.seen = FIXED_CAMERA if frame == FIXED.source else WRIST_CAMERA, (None, ())
        self.change = lambda frame: frame

    def read(self, timeout_s=5.0):
        self.arm.wait(0.001)
        pose = self.arm.base_T_camera(self.name)
        key = (pose.matrix.tobytes(), tuple(self.boxes))
        if self.seen[0] != key:
            self.seen = key, cast(pose, self.boxes, self.camera)
        depth, surface = self.seen[1]
        noise_m = self.rng.normal(0.0, 1e-4)
        color = SURFACES[surface] + np.uint8(self.rng.integers(0, 9))
        depth = (depth + noise_m).astype(np.float32)
        frame = RgbdFrame(color, depth, self.camera, self.arm.now_ns(), self.name, depth_noise=D435)
        return self.change(frame)


def cast(pose, boxes, camera):
    """Depth (h, w) along z, and the surface at each pixel: 0 the table, 1 the first box."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(float)
    rays = camera.deproject(np.stack([u, v], -1).reshape(-1, 2), np.ones(u.size)) @ pose.rotation.T
    eye = pose.translation_m
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(rays[:, 2] < 0, -eye[2] / rays[:, 2], np.nan)
        surface = np.zeros(len(rays), int)
        for number, (center, half) in enumerate(boxes, start=1):
            first, second = (np.asarray(center) + sign * np.asarray(half) - eye for sign in (-1, 1))
            near = np.nanmax(np.minimum(first / rays, second / rays), axis=1)
            far = np.nanmin(np.maximum(first / rays, second / rays), axis=1)
            hit = (near <= far) & (near > 0) & ~(depth <= near)
            depth[hit], surface[hit] = near[hit], number
    return depth.reshape(u.shape), surface.reshape(u.shape)
