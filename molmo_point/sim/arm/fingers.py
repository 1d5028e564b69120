"""Linkage of the simulated gripper: relation of angle, width and reach of its fingers."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.grasp.gripper import Gripper
from molmo_point.sim.arm.physics_model import ARM, HAND, PAD_HALF_M, TOOL_Z_M
from molmo_point.sim.mujoco_import import import_mujoco

ROBOTIQ = Gripper(
    max_opening_m=0.085,
    finger_width_m=0.023,
    finger_thickness_m=0.019,
    finger_depth_m=0.040,
    tip_offset_m=0.012,
    palm_width_m=0.050,
    palm_span_m=0.156,
    palm_depth_m=0.10,
    clearance_m=0.006,
    support_clearance_m=0.005,
    friction=0.45,
    max_tilt_rad=math.radians(35.0),
    approach_distance_m=0.08,
)
"""A 2F-85 as boxes; its palm begins at the linkage between the fingers."""
FULL_CONTROL = 255.0


@dataclass(frozen=True)
class FingerLinkage:
    """Pads that stay parallel while they swing on an arc.

    Attributes:
        open_width_m: Distance between the pads at angle 0, meters.
        open_tip_m: Distance from the hand's flange to the ends of the pads at angle 0, meters.
        radius_m: Radius of the arc, meters.
        start_rad: Position of angle 0 on the arc, radians.
        control_per_rad: Control value of the motor per radian.
    """

    open_width_m: float
    open_tip_m: float
    radius_m: float
    start_rad: float
    control_per_rad: float

    def width_m(self, angle_rad: float) -> float:
        """Distance between the pads, meters; 0 is contact."""
        swing = math.cos(self.start_rad + angle_rad) - math.cos(self.start_rad)
        return max(0.0, self.open_width_m + 2.0 * self.radius_m * swing)

    def angle_rad(self, width_m: float) -> float:
        """Angle of the drivers for a width between the pads, radians."""
        width = min(max(width_m, 0.0), self.open_width_m)
        cosine = math.cos(self.start_rad) + (width - self.open_width_m) / (2.0 * self.radius_m)
        return math.acos(min(1.0, max(-1.0, cosine))) - self.start_rad

    def tip_m(self, width_m: float) -> float:
        """Distance from the hand's flange to the ends of the pads, meters."""
        angle = self.start_rad + self.angle_rad(width_m)
        return self.open_tip_m + self.radius_m * (math.sin(angle) - math.sin(self.start_rad))

    def tool_back_m(self, width_m: float) -> float:
        """Distance of the tool frame behind the grasp frame, along the approach, for a width, meters."""
        return self.tip_m(width_m) - ROBOTIQ.tip_offset_m - TOOL_Z_M

    def control(self, width_m: float) -> float:
        """Control value of the motor for a width; 0 closes with full force."""
        return FULL_CONTROL if width_m <= 0.0 else min(FULL_CONTROL, self.angle_rad(width_m) * self.control_per_rad)


def finger_linkage(model: Any) -> FingerLinkage:
    """Measure the linkage of a world's model with open fingers."""
    mujoco = import_mujoco()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    hand = model.body(HAND).id
    axes, origin = data.xmat[hand].reshape(3, 3), data.xpos[hand]
    pad = (data.geom(f"{ARM}right_pad2").xpos - origin) @ axes
    arm_m = model.body(f"{ARM}right_follower").pos
    motor = model.actuator(f"{ARM}fingers_actuator")
    # The motor pulls a tendon over both drivers, each with half of its length.
    per_rad = -float(motor.biasprm[1]) * 2 * 0.485 / float(motor.gainprm[0])
    half_pad_m = float(model.geom(f"{ARM}right_pad2").size[2])
    return FingerLinkage(
        open_width_m=2.0 * (abs(float(pad[0])) - PAD_HALF_M),
        open_tip_m=float(pad[2]) + half_pad_m,
        radius_m=float(np.hypot(arm_m[0], arm_m[1])),
        start_rad=math.atan2(abs(float(arm_m[1])), abs(float(arm_m[0]))),
        control_per_rad=per_rad,
    )
