"""The picking node around an arm that only counts time and a picker that follows a script: `python scripted_picker.py`.

Everything but arm and picker is the real node. What is picked decides how it ends: see `ENDS`.
"""

import sys
import time

import numpy as np
from molmo_point_ros.arms.arm_session import Rig
from molmo_point_ros.nodes.picking_node import main

from molmo_point.arm.arm import Arm
from molmo_point.arm.joint_path import FollowEnd, JointPath
from molmo_point.commands import Relation
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.picking.held_object import DropZones, Held
from molmo_point.picking.pick import Picker
from molmo_point.picking.states import PickEvent, PickFailure, PickResult, PickState, PlaceResult
from molmo_point.results import DepthStatus, Target

ENDS = {
    "unicorn": PickFailure.NOT_FOUND,
    "soap": PickFailure.SLIPPED,
    "moon": PickFailure.UNREACHABLE,
    "hole": PickFailure.NO_DEPTH,
    "twin": PickFailure.WRONG_OBJECT,
    "mirage": PickFailure.UNTRUSTED,
    "wall": PickFailure.NO_GRASP,
    "cactus": PickFailure.COLLISION,
}
POSITION_M = (0.1, -0.2, 0.03)
STATES = tuple(state for state in PickState if state is not PickState.PLACE)


class CountingArm(Arm):
    """Stands still; its clock starts at one second."""

    base_frame, tool_frame, table_z_m = "base", "tool", 0.0
    joint_names = ("joint1", "joint2")

    def __init__(self, on_tick=None):
        self._on_tick = on_tick
        self._start = time.monotonic_ns() - 1_000_000_000
        self.stops = 0

    def now_ns(self):
        return time.monotonic_ns() - self._start

    def wait(self, seconds):
        time.sleep(seconds)
        if self._on_tick is not None:
            self._on_tick(self)

    def brake(self):
        self.stops += 1

    def joint_positions(self):
        return np.array([0.1, -0.2])

    def gripper_width(self):
        return 0.04

    def base_T_tool(self):
        return Transform("base", "tool", np.eye(3), np.array([0.3, 0.0, 0.4]))

    def base_T_camera(self, frame, stamp_ns=None):
        return Transform("base", frame, np.eye(3), np.zeros(3))

    def follow(self, path, *, cancelled=None, speed=1.0):
        return FollowEnd.DONE

    def move_gripper(self, width_m, *, cancelled=None):
        return width_m

    def plan(self, poses, start_rad=None, *, straight=False, obstacles=()):
        return JointPath(self.joint_names, np.zeros((2, 2)), 1.0)


class ScriptedPicker(Picker):
    """Goes through all states, 20 ms each; "slow" things take a minute unless they are cancelled."""

    def __init__(self, arm):
        self.arm, self.held, self.drop_zones = arm, None, DropZones()

    def pick(self, query, *, cancelled, on_state, dry_run, attempts, permit=None):
        if self.held is not None:
            raise InputError("the gripper must be empty", f"it holds {self.held.query!r}", "place that first")

        def result(failure, message, attempts=1, **more):
            return PickResult(query=query, failure=failure, message=message, attempts=attempts, dry_run=dry_run, **more)

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
                return result(failed, f"cancelled in {state.name}", target=target, grasp=grasp)
        failure = ENDS.get(query)
        if failure is not None:
            return result(failure, f"no {query}", attempts=attempts)
        if not dry_run:
            self.held = Held(query, width_m=0.03, below_m=0.03, radius_m=0.03, axes=pose.rotation)
        return result(None, "lifted", target=target, grasp=grasp, width_m=0.03, holding=self.holding)

    def place(self, where, relation, *, cancelled, on_state, permit=None):
        if self.held is None:
            raise InputError("the gripper must hold an object", "it is empty", "pick an object first")
        name = where
        if not relation.needs_place:
            pose = self.drop_zones.next(self.arm, self.held, aside=relation is Relation.ASIDE)
            name = str(np.round(pose.translation_m, 3).tolist())
        on_state(PickEvent(PickState.PLACE, 1, self.arm.now_ns(), f"{relation.value} {name}"))
        if where == "black hole":
            failure = PickFailure.NOT_FOUND
            return PlaceResult(where=where, failure=failure, message="no black hole", holding=self.holding)
        self.held = None
        return PlaceResult(where=name, failure=None, message="put down")


def opens(parameters, publisher):
    """The scripted rig; its arm reports its joints at every tick of the idle thread."""
    return Rig(ScriptedPicker(CountingArm(publisher.tick)))


if __name__ == "__main__":
    sys.exit(main(sys.argv, opens=opens))
