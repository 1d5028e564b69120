"""An arm without physics: it is where it was sent at once, and its fingers close on what a test puts between them."""

import numpy as np

from molmo_point.arm.arm import Arm
from molmo_point.arm.joint_path import FollowEnd, JointPath
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D435
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.gripper import Gripper

STEP_S, STEP_M = 0.02, 0.003
CAMERA = Intrinsics(32, 24, 40.0, 40.0, 15.5, 11.5)


def path(*angles_rad):
    return JointPath(("joint",), np.array(angles_rad, float)[:, None], 1.0)


class ScriptedArm(Arm):
    """One joint and two fingers; `object_m` is the width of what is between them, `says` False leaves `is_gripping` unknown."""

    base_frame, tool_frame, joint_names = "base", "tool", ("joint",)
    home_rad, gripper = np.zeros(1), Gripper(max_opening_m=0.085)

    def __init__(self, width_m=0.085, object_m=0.0, says=True):
        self.joints, self.width, self.object_m, self.says = np.zeros(1), width_m, object_m, says
        self.told_m, self.time_ns, self.calls, self.pose = width_m, 1_000_000_000, [], None

    def now_ns(self):
        return self.time_ns

    def wait(self, seconds):
        self.time_ns += round(seconds * 1e9)

    def joint_positions(self):
        return self.joints

    def base_T_tool(self):
        return Transform("base", "tool", np.eye(3), np.array([0.3, 0.0, 0.4]))

    def base_T_camera(self, frame, stamp_ns=None):
        # It looks straight down on the middle of the table, from 0.6 m.
        return self.pose or Transform("base", frame, np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 0.6]))

    def follow(self, path, *, cancelled=None, speed=1.0):
        ended = self.interrupted(cancelled)
        if ended():
            return FollowEnd.CANCELLED
        self.calls.append(("follow", float(path.end_rad[0])))
        self.wait(1.0)
        self.joints = path.end_rad
        return FollowEnd.DONE

    def move_gripper(self, width_m, *, cancelled=None):
        ended = self.interrupted(cancelled)
        self.calls.append(("gripper", width_m))
        while not ended() and self.width != max(width_m, self.object_m if width_m < self.width else 0.0):
            least = max(width_m, self.object_m if width_m < self.width else 0.0)
            self.width = max(self.width - STEP_M, least) if width_m < self.width else min(self.width + STEP_M, width_m)
            self.told_m = width_m
            self.wait(STEP_S)
        if ended():
            self.told_m = self.width
        return self.width

    def gripper_width(self):
        return self.width

    def is_gripping(self):
        return self.told_m < self.width if self.says else None


class ScriptedCamera:
    """Frames of now with fresh noise; `read` may be replaced."""

    def __init__(self, arm, name="fixed_optical_frame"):
        self.arm, self.name, self.rng, self.reads = arm, name, np.random.default_rng(0), 0

    def read(self, timeout_s=5.0):
        self.reads += 1
        return self.frame(self.arm.now_ns())

    def frame(self, stamp_ns, **changes):
        color = self.rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
        depth = self.rng.normal(0.6, 0.001, (24, 32)).astype(np.float32)
        values = {"color": color, "depth_m": depth, "intrinsics": CAMERA, "frame": self.name, "depth_noise": D435, **changes}
        return RgbdFrame(stamp_ns=stamp_ns, **values)
