"""The picking node around an arm that only counts time and a picker that follows a script: `python scripted_picker.py`.

Everything but arm and picker is the real node. What is picked decides how it ends: see `ENDS`.
"""

import sys
import time

import numpy as np
from molmo_point_ros.arms.arm_session import Rig
from molmo_point_ros.nodes.picking_node import main

from molmo_point.arm.joint_path import JointPath
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.picking.held_object import Held
from molmo_point.picking.states import PickEvent, PickFailure, PickResult, PickState, PlaceResult
from molmo_point.results import DepthStatus, Target

ENDS = {
    "unicorn": PickFailure.NOT_FOUND,
    "soap": PickFailure.SLIPPED,
    "moon": PickFailure.UNREACHABLE,
    "hole": PickFailure.NO_DEPTH,
    "twin": PickFailure.WRONG_OBJECT,
    "wall": PickFailure.NO_GRASP,
    "cactus": PickFailure.COLLISION,
}
POSITION_M = (0.1, -0.2, 0.03)
STATES = tuple(state for state in PickState if state is not PickState.PLACE)


class CountingArm:
    """Stands still; its clock starts at one second."""

    base_frame, tool_frame, table_z_m = "base", "tool", 0.0
    joint_names = ("joint1", "joint2")

    def __init__(self):
        self._start = time.monotonic_ns() - 1_000_000_000
        self.stops = 0

    def now_ns(self):
        return time.monotonic_ns() - self._start

    def wait(self, seconds):
        time.sleep(seconds)

    def stop(self):
        self.stops += 1

    def joint_positions(self):
        return np.array([0.1, -0.2])

    def gripper_width(self):
        return 0.04

    def base_T_tool(self):
        return Transform("base", "tool", np.eye(3), np.array([0.3, 0.0, 0.4]))

    def grasp_T_tool(self, width_m):
        return Transform("grasp", "tool", np.eye(3), np.zeros(3))

    def plan(self, poses, **_):
        return JointPath(self.joint_names, np.zeros((2, 2)), 1.0)


class ScriptedPicker:
    """Goes through all states, 20 ms each; "slow" things take a minute unless they are cancelled."""

    def __init__(self, arm):
        self.arm, self.held = arm, None

    @property
    def holding(self):
        return self.held.query if self.held else ""

    def pick(self, query, *, cancelled, on_state, dry_run, attempts):
        if self.held is not None:
            raise InputError("The gripper is not free", f"it holds {self.held.query!r}", "place that first")
        if query == "crash":
            raise RuntimeError("out of memory")
        target = Target(
            *(1.0, 2.0, query, 0.9, np.array(POSITION_M), np.eye(3) * 1e-6, "base", self.arm.now_ns()),
            *(DepthStatus.OK, float("nan"), 1.0),
        )
        pose = Transform("base", "grasp", np.diag([1.0, -1.0, -1.0]), np.array(POSITION_M))
        grasp = GraspCandidate(pose, 0.03, 0.05, 0.8, {}, 0.08)
        for state in STATES:
            on_state(PickEvent(state, 1, self.arm.now_ns(), f"at {state.name}", target))
            end = time.monotonic() + (60.0 if query.startswith("slow") and state is PickState.LIFT else 0.02)
            while time.monotonic() < end and not cancelled():
                time.sleep(0.005)
            if cancelled():
                failed = PickFailure.CANCELLED
                return PickResult(query, False, failed, f"cancelled in {state.name}", 1, dry_run, target, grasp)
        failure = ENDS.get(query)
        if failure is not None:
            return PickResult(query, False, failure, f"no {query}", attempts, dry_run)
        if not dry_run:
            self.held = Held(query, width_m=0.03, below_m=0.03, radius_m=0.03, axes=pose.rotation)
        return PickResult(query, True, None, "lifted", 1, dry_run, target, grasp, 0.03, self.holding)

    def place(self, where, relation, *, cancelled, on_state):
        if self.held is None:
            raise InputError("There is nothing to place", "the gripper holds nothing", "pick something first")
        name = where if isinstance(where, str) else np.round(where.translation_m, 3).tolist()
        on_state(PickEvent(PickState.PLACE, 1, self.arm.now_ns(), f"{relation} {name}"))
        if where == "black hole":
            return PlaceResult(where, False, PickFailure.NOT_FOUND, "no black hole", holding=self.holding)
        self.held = None
        return PlaceResult(str(name), True, None, "put down")


def open_rig(settings, publisher):
    """The scripted rig; its arm tells its joints once a tick of the idle thread."""
    arm = CountingArm()
    wait = arm.wait

    def waiting(seconds):
        wait(seconds)
        publisher.tick(arm)

    arm.wait = waiting
    return Rig(arm, ScriptedPicker(arm), lambda: None)


if __name__ == "__main__":
    sys.exit(main(sys.argv, open_rig=open_rig))
