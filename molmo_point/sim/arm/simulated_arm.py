"""`SimulatedArm`: a Panda with a gripper at a table, moved by its motors among objects with weight and friction.

Its reports come from its joints, as on a real arm. Only `truth` knows where the objects are.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arm.arm import Arm, Cancelled
from molmo_point.arm.joint_path import FollowEnd, JointPath
from molmo_point.arrays import FloatArray
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.poses import PoseHistory
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME
from molmo_point.sim.arm.camera_view import FIXED, OBSERVER, WRIST, ArmView
from molmo_point.sim.arm.containers import kinds_in
from molmo_point.sim.arm.fingers import ROBOTIQ, finger_linkage
from molmo_point.sim.arm.physics_model import ARM, JOINTS, STEP_S, TOOL_SITE, world_spec
from molmo_point.sim.arm.planner import HOME_RAD, TOOL_FRAME, PandaPlanner
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.arm.timing import timed
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.camera_pose import BASE_FRAME
from molmo_point.sim.mujoco_import import import_mujoco, open_renderer
from molmo_point.sim.rendered_scene import render_pass
from molmo_point.sim.stereo_faults import SIMULATED_D435
from molmo_point.sim.tabletop.layout import Layout

TICK_S = 1 / 30
_POSE_EVERY_S = 0.01
_LAG_RAD = 0.12
_START_S = 1.0
_OPENING_SPEED_M_S = 0.12
_SETTLED_S = 0.12
_RESTING_RAD_S, _PRESSING_M = 0.05, 0.002
"""Fingers slower than this rest. Resting fingers this much wider than they were told press on an object, meters."""


class SimulatedArm(Arm):
    """A simulated arm at a table.

    The arm holds an OpenGL context: use ``with`` or ``close``, in the thread that made it.
    Its base frame has the table top at z = 0; the arm stands at x = -0.5 m. The tool frame is between the pads.

    Args:
        layout: Objects on the table, and pose of the fixed camera.
        width: Width of the cameras' images, pixels.
        height: Height of the cameras' images, pixels.
        on_tick: Called with the arm 30 times per simulated second, from the thread that moves it.
        pace: Largest ratio of simulated time to real time; None is unlimited.
        answer_s: Simulated duration of one answer of the model, seconds.
        depth_noise: True gives the depth of `open_camera` the noise and holes of a D435.
        camera_seed: Seed of the depth noise of the first open camera; every further one adds 1.

    Attributes:
        layout: The layout given.
        model: MuJoCo's model, for drawing.
        data: MuJoCo's state, for drawing.

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
        answer_s: float = 0.15,
        depth_noise: bool = True,
        camera_seed: int = 0,
    ) -> None:
        self._mujoco = import_mujoco()
        self.layout = layout
        self.base_frame, self.tool_frame, self.joint_names = BASE_FRAME, TOOL_FRAME, JOINTS
        self.gripper, self.home_rad = ROBOTIQ, HOME_RAD.copy()
        self.model = world_spec(layout, width, height).compile()
        self.data = self._mujoco.MjData(self.model)
        self.planner = PandaPlanner()
        self._fingers = finger_linkage(self.model)
        self._on_tick, self._pace, self._answer_s = on_tick, pace, answer_s
        self._due_s: float | None = None
        self._told_m = self._fingers.open_width_m
        self._listeners: list[Callable[[], None]] = []
        self._size = (width, height)
        self._renderer: Any = None
        self._find_parts()
        self._history = PoseHistory(self.base_frame, self.tool_frame, keep_s=60.0)
        self._errors: dict[str, Transform] = {}
        self._views = {name: ArmView(self, name, width, height) for name in (FIXED, WRIST, OBSERVER)}
        self._cameras = {view.frame: view for view in self._views.values()}
        self.camera_frames = {name: self._views[name].frame for name in (FIXED, WRIST)}
        self.waits_in_real_time = pace is not None
        self._noise, self._camera_seed = SIMULATED_D435 if depth_noise else None, camera_seed
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
        # Objects and fingers come to rest before the first image.
        self.wait(0.3)

    def view(self, name: str) -> ArmView:
        """One camera's view, for `SimulatedCamera(arm.view("wrist"), clock_ns=arm.now_ns)`.

        Args:
            name: "fixed", "wrist", or "observer", a side view for people.

        Raises:
            InputError: For another name.
        """
        if name not in self._views:
            raise InputError("name must be a camera of the arm", repr(name), f"use one of {', '.join(self._views)}")
        return self._views[name]

    def open_camera(self, name: str, *, clock_ns: Callable[[], int] | None = None) -> SimulatedCamera:
        """Open a camera, "fixed" or "wrist"; errors as `view`."""
        camera = SimulatedCamera(self.view(name), self._noise, self._camera_seed, clock_ns=clock_ns or self.now_ns)
        self._camera_seed += 1
        return camera

    def now_ns(self) -> int:
        return round((self.data.time + _START_S) * 1e9)

    def joint_positions(self) -> FloatArray:
        return self.data.qpos[self._at].copy()

    def base_T_tool(self) -> Transform:
        site = self.data.site(TOOL_SITE)
        return Transform(self.base_frame, self.tool_frame, site.xmat.reshape(3, 3).copy(), site.xpos.copy())

    def tool_T_camera(self, frame: str) -> Transform | None:
        mount = self._camera(frame).mount
        return None if mount is None else self._believed(mount, frame)

    def base_T_camera(self, frame: str, stamp_ns: int | None = None) -> Transform:
        view = self._camera(frame)
        if view.mount is None:
            return self._believed(view.pose, frame)
        mount = self._believed(view.mount, frame)
        # A camera that is read twice in one moment numbers its frames a nanosecond apart.
        if stamp_ns is None or 0 <= stamp_ns - self.now_ns() <= 1000:
            return self.base_T_tool() @ mount
        return self._history.at(stamp_ns) @ mount

    def miscalibrate(self, frame: str, error: Transform) -> None:
        """Give the believed pose of a camera an error from now on.

        Args:
            frame: Optical frame of the camera.
            error: Transform from the true to the believed camera frame; both carry the camera's name.
        """
        self._errors[self._camera(frame).frame] = error

    def grasp_T_tool(self, width_m: float) -> Transform:
        back = np.array([0.0, 0.0, -self._fingers.tool_back_m(width_m)])
        return Transform(GRASP_FRAME, self.tool_frame, np.eye(3), back)

    def follow(self, path: JointPath, *, cancelled: Cancelled | None = None, speed: float = 1.0) -> FollowEnd:
        if not 0 < speed <= 1:
            raise InputError("speed must be a share of the arm's limits", f"speed={speed}", "give above 0, at most 1")
        off = float(np.abs(path.positions_rad[0] - self.joint_positions()).max())
        if off > 0.1:
            raise InputError("path must begin where the arm is", f"{off:.3f} rad away", "plan from the present joint angles")
        ended = self.interrupted(cancelled)
        if ended():
            return FollowEnd.CANCELLED
        timing, started, end = timed(path.positions_rad, speed), self.data.time, FollowEnd.DONE
        while (elapsed := self.data.time - started) < timing.duration_s:
            joints, speeds = timing.at(elapsed + STEP_S)
            if end is FollowEnd.DONE and (why := self._why_stop(ended, joints)):
                timing, started, end = timing.slowed(elapsed), self.data.time, why
                continue
            self.data.ctrl[self._motors] = joints + self._lead_s * speeds
            self._step()
        self.data.ctrl[self._motors] = timing.at(timing.duration_s)[0]
        self.wait(0.05)
        return end

    def _why_stop(self, ended: Cancelled, wanted_rad: FloatArray) -> FollowEnd | None:
        if ended():
            return FollowEnd.CANCELLED
        lag = np.abs(wanted_rad - self.data.qpos[self._at]).max()
        return FollowEnd.BLOCKED if lag > _LAG_RAD else None

    def move_gripper(self, width_m: float, *, cancelled: Cancelled | None = None) -> float:
        if not 0 <= width_m <= self.gripper.max_opening_m:
            given, most = f"width_m={width_m}", self.gripper.max_opening_m
            raise InputError("width_m must be within the gripper's opening", given, f"give meters from 0 to {most}")
        ended = self.interrupted(cancelled)
        told, goal = self.gripper_width(), min(width_m, self._fingers.open_width_m)
        if self.is_gripping() and goal < told:
            told = self._told_m
        waited, quiet = 0.0, 0.0
        while quiet < _SETTLED_S and waited < 3.0:
            if ended():
                self._hold_fingers()
                break
            told += float(np.clip(goal - told, -_OPENING_SPEED_M_S * STEP_S, _OPENING_SPEED_M_S * STEP_S))
            self._tell_fingers(told)
            self._step()
            waited += STEP_S
            quiet = quiet + STEP_S if self._fingers_rest() and waited > 0.1 else 0.0
        return self.gripper_width()

    def _tell_fingers(self, width_m: float) -> None:
        self._told_m = width_m
        self.data.ctrl[self._finger_motor] = self._fingers.control(width_m)

    def _fingers_rest(self) -> bool:
        return bool(np.abs(self.data.qvel[self._driver_speeds]).max() < _RESTING_RAD_S)

    def _hold_fingers(self) -> None:
        """Leave the fingers where they are; those that press on an object keep pressing."""
        if self.is_gripping():
            return
        self._tell_fingers(self.gripper_width())
        waited = 0.0
        while waited < _SETTLED_S or (not self._fingers_rest() and waited < 3 * _SETTLED_S):
            self._step()
            waited += STEP_S

    def is_gripping(self) -> bool | None:
        if self.gripper_width() - self._told_m <= _PRESSING_M:
            return False
        # Fingers on their way look the same as fingers that tremble on an object.
        return True if self._fingers_rest() else None

    def gripper_width(self) -> float:
        return self._fingers.width_m(float(self.data.qpos[self._drivers].mean()))

    def wait(self, seconds: float) -> None:
        end = self.data.time + seconds - 0.5 * STEP_S
        while self.data.time < end:
            self._step()

    def spend_answer_time(self) -> None:
        self.wait(self._answer_s)

    def after_every_step(self, listener: Callable[[], None]) -> None:
        """Call a function after every step of the physics."""
        self._listeners.append(listener)

    def render(self, camera: str, kind: str) -> NDArray[np.generic]:
        """Render a pass of a camera of the model, for `ArmView`."""
        if self._renderer is None:
            self._renderer = open_renderer(self.model, *self._size)
        return render_pass(self._renderer, self.data, kind, camera)

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

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
            due_s = now_s if self._due_s is None else self._due_s
            if due_s > now_s:
                time.sleep(due_s - now_s)
            self._due_s = max(due_s, now_s - 0.5) + TICK_S / self._pace

    def _camera(self, frame: str) -> ArmView:
        if frame not in self._cameras:
            raise FrameError("frame must be of a camera of the arm", repr(frame), f"use one of {', '.join(self._cameras)}")
        return self._cameras[frame]

    def _believed(self, pose: Transform, frame: str) -> Transform:
        error = self._errors.get(frame)
        return pose if error is None else pose @ error


def open_simulated_arm(
    *,
    scene_seed: int = 0,
    object_count: int = 0,
    containers: str = "",
    width: int = 640,
    height: int = 480,
    depth_noise: bool = True,
    pace: float = 0.0,
    on_tick: Callable[[Any], None] | None = None,
) -> SimulatedArm:
    """Open the simulated arm at a random table, for `arm.arm_registry`; other arguments and errors as `SimulatedArm`.

    Args:
        scene_seed: Seed of the table and of the depth noise.
        object_count: Number of objects; 0 draws 3 to 10.
        containers: Kinds of containers among them, as `kinds_in` reads them.
        pace: Largest ratio of simulated time to real time; 0 is unlimited.

    Raises:
        InputError: If a kind of container is unknown, or the containers do not fit on the table.
    """
    layout = random_arm_layout(np.random.default_rng(scene_seed), object_count or None, kinds_in(containers))
    return SimulatedArm(
        layout, width, height, on_tick=on_tick, pace=pace or None, depth_noise=depth_noise, camera_seed=scene_seed
    )
