"""A simulated table whose arm, cameras, gripper, model and transforms can fail at a chosen moment, and its judge.

The judge looks at the simulation's truth: what falls, what moves after a stop, what is in the hand.
"""

import dataclasses
import enum
import math
from collections.abc import Callable

import numpy as np

from molmo_point.arm.joint_path import FollowEnd
from molmo_point.errors import CameraError, FrameError
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.pick import Picker
from molmo_point.picking.states import Outcome, PickFailure, PickState, PlaceResult
from molmo_point.pointer import Pointer
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.arm.truth import ArmTruth
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX

STANDS_AFTER_S = 0.35
_FALLING_M_S, _CLEAR_M, _STILL_RAD = -0.6, 0.02, 0.01


class Fault(enum.Enum):
    """A way in which something fails from a moment on."""

    NONE = "none"
    STOP = "stop"
    CANCEL = "cancel"
    BLOCKED_ONCE = "arm blocked once"
    BLOCKED = "arm blocked"
    FROZEN = "frozen frame"
    REPEATED = "frozen picture with new stamps"
    LATE = "late frame"
    NAN_DEPTH = "NaN depth"
    NO_DEPTH = "no depth"
    NAN_GRIPPER = "NaN gripper"
    STUCK_GRIPPER = "gripper stuck"
    NAN_JOINTS = "NaN joints"
    CAMERA_ERROR = "camera error"
    MODEL_ERROR = "model error"
    ARM_ERROR = "arm error"
    TRANSFORM_MISSING = "transform missing"
    TRANSFORM_NAN = "transform is refused"
    TRANSFORM_JUMPS = "transform jumps"
    MOVED_AWAY = "object moved away"
    TAKEN = "object taken by hand"


LATE_NS = 2_000_000_000


@dataclasses.dataclass
class Switch:
    """The fault, and whether it has begun."""

    fault: Fault = Fault.NONE
    on: bool = False

    def now(self, *faults: Fault) -> bool:
        return self.on and self.fault in faults


class FaultyArm:
    """Hands everything on to the simulated arm, until the switch is on."""

    def __init__(self, arm: SimulatedArm, switch: Switch):
        self.arm, self.switch, self.blocks = arm, switch, 0

    def __getattr__(self, name):
        return getattr(self.arm, name)

    def follow(self, path, *, cancelled=None, speed=1.0):
        if self.switch.now(Fault.ARM_ERROR):
            raise RuntimeError("the arm's connection is lost")
        blocks = lambda: self.switch.now(Fault.BLOCKED) or (self.switch.now(Fault.BLOCKED_ONCE) and self.blocks == 0)  # noqa: E731
        end = self.arm.follow(path, cancelled=lambda: blocks() or (cancelled is not None and cancelled()), speed=speed)
        if blocks():
            self.blocks += 1
            return FollowEnd.BLOCKED
        return end

    def joint_positions(self):
        return np.full(7, np.nan) if self.switch.now(Fault.NAN_JOINTS) else self.arm.joint_positions()

    def gripper_width(self):
        return math.nan if self.switch.now(Fault.NAN_GRIPPER) else self.arm.gripper_width()

    def move_gripper(self, width_m, *, cancelled=None):
        if self.switch.now(Fault.STUCK_GRIPPER):
            self.arm.wait(0.5)
            return self.arm.gripper_width()
        width = self.arm.move_gripper(width_m, cancelled=cancelled)
        return math.nan if self.switch.now(Fault.NAN_GRIPPER) else width

    def base_T_camera(self, frame, stamp_ns=None):
        if self.switch.now(Fault.TRANSFORM_MISSING):
            raise FrameError("the transform must be known", frame, "publish it")
        pose = self.arm.base_T_camera(frame, stamp_ns)
        if self.switch.now(Fault.TRANSFORM_NAN):
            return Transform(pose.target, pose.source, pose.rotation, np.full(3, np.nan))
        if self.switch.now(Fault.TRANSFORM_JUMPS):
            jump_m = np.array([0.06, 0.05, 0.03])
            return Transform(pose.target, pose.source, pose.rotation, pose.translation_m + jump_m)
        return pose


class FaultyCamera:
    """Hands frames on, until the switch is on."""

    def __init__(self, camera, switch: Switch, now_ns: Callable[[], int]):
        self.camera, self.switch, self.now_ns, self.kept = camera, switch, now_ns, []

    def __getattr__(self, name):
        return getattr(self.camera, name)

    def read(self, timeout_s=5.0):
        if self.switch.now(Fault.CAMERA_ERROR):
            raise CameraError("The camera must be connected", "it is gone", "plug it in")
        if self.kept and self.switch.now(Fault.FROZEN):
            return self.kept[-1]
        if self.kept and self.switch.now(Fault.REPEATED):
            return dataclasses.replace(self.kept[-1], stamp_ns=self.now_ns())
        frame = self.camera.read(timeout_s)
        if self.kept and self.switch.now(Fault.LATE):
            # A queue somewhere holds the frames back: each comes when it is older than LATE_NS.
            self.kept.append(frame)
            old = [each for each in self.kept if each.stamp_ns <= self.now_ns() - LATE_NS]
            return old[-1] if old else self.kept[0]
        if not self.switch.on:
            self.kept = [*self.kept[-3:], frame]
        if self.switch.now(Fault.NAN_DEPTH):
            return dataclasses.replace(frame, depth_m=np.full_like(frame.depth_m, np.nan))
        if self.switch.now(Fault.NO_DEPTH):
            return dataclasses.replace(frame, depth_m=None)
        return frame

    def close(self):
        pass


class Table:
    """One table, one picker, one fault, and the truth.

    Attributes:
        violations: What must never happen and did, in words.
    """

    def __init__(self, pointer: Pointer, seed: int):
        self.arm = SimulatedArm(random_arm_layout(np.random.default_rng(seed), 5))
        self.switch = Switch()
        self.truth = ArmTruth(self.arm)
        views = (
            SimulatedCamera(self.arm.view(name), seed=k, clock_ns=self.arm.now_ns) for k, name in enumerate(("fixed", "wrist"))
        )
        fixed, wrist = (FaultyCamera(view, self.switch, self.arm.now_ns) for view in views)
        self.driver = FaultyArm(self.arm, self.switch)
        self.picker = Picker(pointer, self.driver, fixed, wrist)  # type: ignore[arg-type]
        self.bodies = self.truth._bodies
        self.rest_z = self.truth.positions_m()[:, 2]
        self.violations: list[str] = []
        self.fell: set[int] = set()
        self.taken: set[int] = set()
        self.stopped_s = math.inf
        self.stands_rad: np.ndarray | None = None
        self.began: dict[PickState, float] = {}
        self.at: tuple[PickState, float] | None = None
        self.object = 0
        self._before = (self.arm.data.time, self.truth.positions_m()[:, 2])
        self.arm.after_every_step(self._watch)

    def close(self):
        self.arm.close()

    def arrange(self, fault: Fault, state: PickState, after_s: float, number: int):
        """Let the fault begin a time after a state has begun."""
        self.switch.fault, self.switch.on, self.at, self.object = fault, False, (state, after_s), number
        self.began.clear()

    def mend(self):
        """End the fault."""
        self.switch.on, self.switch.fault, self.at = False, Fault.NONE, None
        self.stopped_s, self.stands_rad = math.inf, None

    def cancelled(self) -> bool:
        return self.switch.now(Fault.CANCEL)

    def on_state(self, event):
        self.began.setdefault(event.state, self.arm.data.time)
        self._begin_if_due()

    def in_hand(self) -> set[int]:
        """Numbers of the objects that are off the table between the fingers."""
        high = np.flatnonzero(self.truth.positions_m()[:, 2] - self.rest_z > _CLEAR_M)
        return {int(number) for number in high if self.truth._held(int(number))}

    def run(self, command: Callable[..., Outcome], *arguments) -> Outcome | None:
        """Run a pick or a placing, and wait a moment; None if an exception left it."""
        try:
            result = command(*arguments, on_state=self.on_state, cancelled=self.cancelled)
        except Exception as error:
            self.violations.append(f"an exception left the command: {error!r}")
            return None
        self.arm.wait(0.6)
        return result

    def _begin_if_due(self):
        if self.switch.on or self.at is None:
            return
        state, after_s = self.at
        if state not in self.began or self.arm.data.time < self.began[state] + after_s:
            return
        self.switch.on = True
        if self.switch.fault is Fault.STOP:
            self.driver.stop()
            self.stopped_s = self.arm.data.time
        if self.switch.fault is Fault.CANCEL:
            self.stopped_s = self.arm.data.time
        if self.switch.fault is Fault.MOVED_AWAY:
            self._put((0.0, -0.17) if self.truth.positions_m()[self.object, 1] > 0 else (0.0, 0.17))
        if self.switch.fault is Fault.TAKEN:
            self._put((2.0, 2.0))

    def _put(self, xy_m):
        """Move the object at once, as a hand would; what it is held by is open to question from then on."""
        joint = self.arm.model.body(f"{OBJECT_PREFIX}{self.object}").jntadr[0]
        at = self.arm.model.jnt_qposadr[joint]
        speed = self.arm.model.jnt_dofadr[joint]
        self.arm.data.qpos[at : at + 2] = xy_m
        self.arm.data.qpos[at + 2] = self.rest_z[self.object] + 0.001
        self.arm.data.qvel[speed : speed + 6] = 0.0
        self.taken.add(self.object)

    def _watch(self):
        self._begin_if_due()
        now, z = self.arm.data.time, self.arm.data.xpos[self.bodies, 2].copy()
        then, before = self._before
        if now - then < 0.004:
            return
        self._before = (now, z)
        speed = (z - before) / (now - then)
        for number in np.flatnonzero((speed < _FALLING_M_S) & (z > self.rest_z + _CLEAR_M)):
            if int(number) not in self.fell | self.taken:
                self.fell.add(int(number))
                self.violations.append(f"object {number} fell from {before[number] - self.rest_z[number]:.3f} m at {now:.2f} s")
        if now > self.stopped_s + STANDS_AFTER_S:
            joints = self.arm.joint_positions()
            if self.stands_rad is None:
                self.stands_rad = joints
            elif np.abs(joints - self.stands_rad).max() > _STILL_RAD:
                self.violations.append(f"moves at {now:.2f} s after the stop at {self.stopped_s:.2f} s")
                self.stopped_s = math.inf


def judge(table: Table, result: Outcome | None) -> list[str]:
    """Everything that is wrong with how a command ended."""
    wrong = list(table.violations)
    if result is None:
        return wrong
    if result.failure is not None and not isinstance(result.failure, PickFailure):
        wrong.append(f"not classified: {result.failure!r}")
    hand, holding = table.in_hand(), table.picker.holding
    if hand and not holding:
        wrong.append(f"forgets what it holds: {hand}, {result.message}")
    if bool(result.holding) != bool(holding):
        wrong.append("the result and the picker differ about what is held")
    if isinstance(result, PlaceResult):
        if result.success and hand:
            wrong.append(f"claims to have placed what is in the hand: {result.message}")
    elif result.success and not hand:
        wrong.append(f"claims to hold what is not in the hand: {result.message}")
    return wrong
