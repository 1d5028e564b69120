"""An arm that stands still, with one camera: the least that an `Arm` must have."""

from types import MappingProxyType, SimpleNamespace

import numpy as np

from molmo_point.arm.arm import Arm
from molmo_point.arm.joint_path import FollowEnd
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.gripper import Gripper


class StillArm(Arm):
    base_frame, tool_frame, joint_names = "base", "tool", ("joint",)
    home_rad, gripper = np.zeros(1), Gripper()
    camera_frames = MappingProxyType({"fixed": "fixed"})

    def __init__(self, pace=0.0, on_tick=None, planner=None):
        self.pace, self.on_tick, self.planner, self.closed = pace, on_tick, planner, False

    def joint_positions(self):
        return np.zeros(1)

    def base_T_tool(self):
        return Transform("base", "tool", np.eye(3), np.zeros(3))

    def base_T_camera(self, frame, stamp_ns=None):
        return Transform("base", frame, np.eye(3), np.zeros(3))

    def follow(self, path, *, cancelled=None, speed=1.0):
        return FollowEnd.DONE

    def move_gripper(self, width_m, *, cancelled=None):
        return width_m

    def gripper_width(self):
        return 0.0

    def wait(self, seconds):
        if self.on_tick is not None:
            self.on_tick(self)

    def open_camera(self, name, *, clock_ns=None):
        return SimpleNamespace(name=name, clock_ns=clock_ns)

    def close(self):
        self.closed = True


def open_still_arm(**options):
    return StillArm(**options)
