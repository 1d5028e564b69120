"""`SimulatedArm`: a Panda with a gripper at a table, moved by its motors among objects with weight and friction.

What it tells about itself comes from its joints, as on a real arm; where the objects are only `arm_truth` knows.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arm.joint_path import FollowEnd, JointPath, NoPath, ObstacleBox
from molmo_point.arrays import FloatArray
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.poses import PoseHistory
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.arm.camera_view import FIXED, OBSERVER, WRIST, ArmView
from molmo_point.sim.arm.fingers import ROBOTIQ, finger_linkage
from molmo_point.sim.arm.physics_model import ARM, JOINTS, STEP_S, TOOL_SITE, world_spec
from molmo_point.sim.arm.planner import HOME_RAD, ArmPlanner
from molmo_point.sim.arm.timing import timed
from molmo_point.sim.camera_pose import BASE_FRAME
from molmo_point.sim.mujoco_import import import_mujoco, open_renderer
from molmo_point.sim.tabletop.layout import Layout

TOOL_FRAME = "tool"
TICK_S = 1 / 30
_POSE_EVERY_S = 0.01
_LAG_RAD = 0.12
_START_S = 1.0
_OPENING_SPEED_M_S = 0.12
_SETTLED_S = 0.12


class SimulatedArm:
    """A simulated arm at a table; offers everything that `picking.arm.Arm` asks for.

    Holds an OpenGL context: use ``with`` or ``close``, in the thread that made it. Only `stop` may be called from others.

    Args:
        layout: What stands on the table, and where the fixed camera is.
        width: Of the cameras' images, pixels.
        height: Likewise.
        on_tick: Called with the arm 30 times per simulated second while time passes, from the thread that moves it.
        pace: Simulated seconds per second of the computer's clock, at most; None is as fast as it goes.

    Attributes:
        layout: As given.
        base_frame: The table's frame: z up, its top at z = 0; the arm stands at x = -0.5 m.
        tool_frame: Between the pads of the gripper.
        joint_names: Of the arm.
        gripper: Sizes of the gripper.
        table_z_m: Height of the table top.
        home_rad: Joint angles from which the wrist camera sees the table and the arm hides nothing.
        model: MuJoCo's model, for showing it.
        data: MuJoCo's state, likewise.

    Raises:
        DependencyError: MuJoCo, mink, ruckig or tabletask is not installed, or there is no OpenGL.
    """

    def __init__(
        self,
        layout: Layout,
        width: int = 640,
        height: int = 480,
        *,
        on_tick: Callable[["SimulatedArm"], None] | None = None,
        pace: float | None = None,
    ) -> None:
        self._mujoco = import_mujoco()
        self.layout = layout
        self.base_frame, self.tool_frame, self.joint_names = BASE_FRAME, TOOL_FRAME, JOINTS
        self.gripper, self.table_z_m, self.home_rad = ROBOTIQ, 0.0, HOME_RAD.copy()
        self.model = world_spec(layout, width, height).compile()
        self.data = self._mujoco.MjData(self.model)
        self._planner = ArmPlanner()
        self._fingers = finger_linkage(self.model)
        self._on_tick, self._pace = on_tick, pace
        self._stopped = threading.Event()
        self._listeners: list[Callable[[], None]] = []
        self._size = (width, height)
        self._renderer: Any = None
        self._find_parts()
        self._history = PoseHistory(self.base_frame, self.tool_frame, keep_s=60.0)
        self._errors: dict[str, Transform] = {}
        self._views = {name: ArmView(self, name, width, height) for name in (FIXED, WRIST, OBSERVER)}
        self._cameras = {view.frame: view for view in self._views.values()}
        self._next_tick_s = self._next_pose_s = 0.0
        self._begin()

    def _find_parts(self) -> None:
        joints = [self.model.joint(f"{ARM}{name}") for name in JOINTS]
        motors = [self.model.actuator(f"{ARM}{name}") for name in JOINTS]
        self._at = np.array([joint.qposadr[0] for joint in joints])
        self._motors = np.array([motor.id for motor in motors])
        self._lead_s = np.array([motor.biasprm[2] / motor.biasprm[1] for motor in motors])
        self._finger_motor = self.model.actuator(f"{ARM}fingers_actuator").id
        drivers = [self.model.joint(f"{ARM}{side}_driver_joint") for side in ("left", "right")]
        self._drivers = np.array([joint.qposadr[0] for joint in drivers])
        self._driver_speeds = np.array([joint.dofadr[0] for joint in drivers])

    def _begin(self) -> None:
        self.data.qpos[self._at] = HOME_RAD
        self.data.ctrl[self._motors] = HOME_RAD
        self._mujoco.mj_forward(self.model, self.data)
        self._record()
        # Objects and fingers come to rest before anybody looks.
        self.wait(0.3)

    def view(self, name: str) -> ArmView:
        """A camera's view, for `SimulatedCamera(arm.view("wrist"), clock_ns=arm.now_ns)`.

        Args:
            name: "fixed", "wrist", or "observer", which sees the arm from aside and is for people.

        Raises:
            InputError: For another name.
        """
        if name not in self._views:
            raise InputError("The arm has no such camera", repr(name), f"use one of {', '.join(self._views)}")
        return self._views[name]

    def now_ns(self) -> int:
        """Simulated time, nanoseconds."""
        return round((self.data.time + _START_S) * 1e9)

    def joint_positions(self) -> FloatArray:
        """Joint angles (7,), radians."""
        return self.data.qpos[self._at].copy()

    def base_T_tool(self) -> Transform:
        """Where the tool is now."""
        site = self.data.site(TOOL_SITE)
        return Transform(self.base_frame, self.tool_frame, site.xmat.reshape(3, 3).copy(), site.xpos.copy())

    def tool_T_camera(self, frame: str) -> Transform | None:
        """The hand-eye transform as it is known; None for a camera that is not on the hand."""
        view = self._camera(frame)
        mount = view.mount
        return None if mount is None else self._believed(mount, frame)

    def base_T_camera(self, frame: str, stamp_ns: int | None = None) -> Transform:
        """Where a camera was, from the joints and the hand-eye transform, as they are known.

        Raises:
            FrameError: If there is no such camera.
            InputError: If the time is not within the last minute.
        """
        view = self._camera(frame)
        if view.mount is None:
            return self._believed(view.pose, frame)
        mount = self._believed(view.mount, frame)
        # A camera that is read twice in one moment numbers its frames a nanosecond apart.
        if stamp_ns is None or 0 <= stamp_ns - self.now_ns() <= 1000:
            return self.base_T_tool() @ mount
        return self._history.at(stamp_ns) @ mount

    def miscalibrate(self, frame: str, error: Transform) -> None:
        """From now on a camera is believed to be where it is not.

        Args:
            frame: The camera's.
            error: From the camera's true frame to the believed one; both carry the camera's name.
        """
        self._errors[self._camera(frame).frame] = error

    def grasp_T_tool(self, width_m: float) -> Transform:
        """Where the tool is in a grasp frame when the pads are `width_m` apart."""
        back = np.array([0.0, 0.0, -self._fingers.tool_back_m(width_m)])
        return Transform("grasp", self.tool_frame, np.eye(3), back)

    def plan(
        self,
        poses: Sequence[Transform],
        *,
        start_rad: FloatArray | None = None,
        straight: bool = False,
        obstacles: Sequence[ObstacleBox] = (),
        opening_m: float | None = None,
    ) -> JointPath | NoPath:
        """See `picking.arm.Arm.plan`; the fingers are taken to be open, which needs the most room.

        Raises:
            FrameError: If a pose is not of the tool in the base frame.
        """
        del opening_m
        for pose in poses:
            if (pose.target, pose.source) != (self.base_frame, self.tool_frame):
                fix = f"give poses {self.base_frame}_T_{self.tool_frame}"
                raise FrameError("The arm plans for its tool in its base frame", f"{pose.target}_T_{pose.source}", fix)
        self._planner.set_obstacles(obstacles)
        return self._planner.path(poses, self.joint_positions() if start_rad is None else start_rad, straight)

    def plan_home(self, *, start_rad: FloatArray | None = None, obstacles: Sequence[ObstacleBox] = ()) -> JointPath | NoPath:
        """A path to `home_rad`."""
        self._planner.set_obstacles(obstacles)
        return self._planner.through([self.home_rad], self.joint_positions() if start_rad is None else start_rad)

    def follow(self, path: JointPath, *, cancelled: Callable[[], bool] | None = None, speed: float = 1.0) -> FollowEnd:
        """Go along a path; slows down on it and stands when cancelled, stopped, or held up.

        Raises:
            InputError: If the path does not begin where the arm is, or the speed is out of range.
        """
        if not 0 < speed <= 1:
            raise InputError("The speed is a share of the arm's limits", f"speed={speed}", "give above 0, at most 1")
        off = float(np.abs(path.positions_rad[0] - self.joint_positions()).max())
        if off > 0.1:
            raise InputError("The path does not begin where the arm is", f"{off:.3f} rad away", "plan from where the arm is")
        self._stopped.clear()
        timing, started, end = timed(path.positions_rad, speed), self.data.time, FollowEnd.DONE
        while (elapsed := self.data.time - started) < timing.duration_s:
            joints, speeds = timing.at(elapsed + STEP_S)
            if end is FollowEnd.DONE and (why := self._why_stop(cancelled, joints)):
                timing, started, end = timing.slowed(elapsed), self.data.time, why
                continue
            self.data.ctrl[self._motors] = joints + self._lead_s * speeds
            self._step()
        self.data.ctrl[self._motors] = timing.at(timing.duration_s)[0]
        self.wait(0.05)
        return end

    def _why_stop(self, cancelled: Callable[[], bool] | None, wanted_rad: FloatArray) -> FollowEnd | None:
        if self._stopped.is_set() or (cancelled is not None and cancelled()):
            return FollowEnd.CANCELLED
        lag = np.abs(wanted_rad - self.data.qpos[self._at]).max()
        return FollowEnd.BLOCKED if lag > _LAG_RAD else None

    def move_gripper(self, width_m: float, *, cancelled: Callable[[], bool] | None = None) -> float:
        """Open or close until that wide or until something resists.

        Raises:
            InputError: If the width is not between 0 and the widest opening.
        """
        if not 0 <= width_m <= self.gripper.max_opening_m:
            given, most = f"width_m={width_m}", self.gripper.max_opening_m
            raise InputError("The gripper cannot be that wide", given, f"give metres from 0 to {most}")
        self._stopped.clear()
        told, goal = self.gripper_width(), min(width_m, self._fingers.open_width_m)
        waited, quiet = 0.0, 0.0
        while quiet < _SETTLED_S and waited < 3.0:
            if self._stopped.is_set() or (cancelled is not None and cancelled()):
                self._hold_fingers(told)
                break
            change = np.clip(goal - told, -_OPENING_SPEED_M_S * STEP_S, _OPENING_SPEED_M_S * STEP_S)
            told += float(change)
            self.data.ctrl[self._finger_motor] = self._fingers.control(told)
            self._step()
            waited += STEP_S
            still = np.abs(self.data.qvel[self._driver_speeds]).max() < 0.05
            quiet = quiet + STEP_S if still and waited > 0.1 else 0.0
        return self.gripper_width()

    def _hold_fingers(self, told_m: float) -> None:
        """Fingers that press on something go on pressing; the others stay where they are."""
        width = self.gripper_width()
        pressing = width - told_m > 0.002
        self.data.ctrl[self._finger_motor] = self._fingers.control(0.0 if pressing else width)

    def gripper_width(self) -> float:
        """Between the pads, metres, from the drivers' angle."""
        return self._fingers.width_m(float(self.data.qpos[self._drivers].mean()))

    def wait(self, seconds: float) -> None:
        """Let simulated time pass with the motors holding."""
        end = self.data.time + seconds - 0.5 * STEP_S
        while self.data.time < end:
            self._step()

    def stop(self) -> None:
        """Slow down and stand; what is held stays held. May be called from another thread."""
        self._stopped.set()

    def after_every_step(self, listener: Callable[[], None]) -> None:
        """Calls a function after every step of the physics, as a judge needs it."""
        self._listeners.append(listener)

    def render(self, camera: str, kind: str) -> NDArray[np.generic]:
        """What `ArmView` shows: a pass of a camera of the model."""
        from molmo_point.sim.rendered_scene import render_pass

        if self._renderer is None:
            self._renderer = open_renderer(self.model, *self._size)
        return render_pass(self._renderer, self.data, kind, camera)

    def close(self) -> None:
        """Frees the OpenGL context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def __enter__(self) -> "SimulatedArm":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _step(self) -> None:
        self._mujoco.mj_step(self.model, self.data)
        for listener in self._listeners:
            listener()
        if self.data.time >= self._next_pose_s:
            self._next_pose_s = self.data.time + _POSE_EVERY_S - 0.5 * STEP_S
            self._record()
        if self.data.time >= self._next_tick_s:
            self._next_tick_s = self.data.time + TICK_S - 0.5 * STEP_S
            self._tick()

    def _record(self) -> None:
        # A step leaves the sites where they were before it; the stamp is of after it.
        self._mujoco.mj_kinematics(self.model, self.data)
        self._history.add(self.base_T_tool(), self.now_ns())

    def _tick(self) -> None:
        if self._on_tick is not None:
            self._on_tick(self)
        if self._pace is not None:
            now_s = time.monotonic()
            due_s = getattr(self, "_due_s", now_s)
            if due_s > now_s:
                time.sleep(due_s - now_s)
            self._due_s = max(due_s, now_s - 0.5) + TICK_S / self._pace

    def _camera(self, frame: str) -> ArmView:
        if frame not in self._cameras:
            raise FrameError("The arm has no camera of this frame", repr(frame), f"use one of {', '.join(self._cameras)}")
        return self._cameras[frame]

    def _believed(self, pose: Transform, frame: str) -> Transform:
        error = self._errors.get(frame)
        return pose if error is None else pose @ error
