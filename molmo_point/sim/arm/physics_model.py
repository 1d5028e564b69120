"""The MuJoCo models behind the simulated arm: a Panda with a two-finger gripper at a table of free objects.

The arm is DROID's assembly of a Panda with a Robotiq 2F-85 from the `tabletask` wheel. Two models are made of it: the
world, with physics and cameras; and the plan, of the arm alone with its fingers open and boxes for what it must not touch.
"""

from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.errors import DependencyError
from molmo_point.sim.arm.containers import CONTAINER_PREFIX, add_container
from molmo_point.sim.camera_pose import CAMERA_NAME, CameraPose, camera_axes
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.tabletop.layout import Layout
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX, layout_to_mjcf
from molmo_point.sim.toys.placed_toy import PlacedToy, add_toy

ARM = "arm/"
"""Prefix of the names of the arm's parts."""
JOINTS = tuple(f"joint{number}" for number in range(1, 8))
HAND, TOOL_SITE, WRIST_CAMERA, OBSERVER_CAMERA = f"{ARM}base", "tool", "wrist", "observer"
FIXED_CAMERA = CAMERA_NAME
BOXES = 24
"""Largest number of obstacles in the plan."""
OBSTACLE_PREFIX = "obstacle_"
FOOT_M = (-0.5, 0.0, 0.0)
"""Position of the arm's foot on the table, meters, base frame."""
TOOL_Z_M = 0.155
"""Distance from the hand's flange to the tool frame, which is between the pads, meters."""
WRIST_M = (0.0, -0.085, 0.03)
"""Position of the wrist camera in the hand's frame, meters; it looks along the approach, past the fingers."""
WRIST_FOV_Y_DEG = 42.5
OBSERVER = CameraPose((0.85, -1.05, 0.8), (-0.2, 0.0, 0.25), 42.0)
"""The side view, for people."""
DENSITY_KG_M3 = 400.0
GRIP_FORCE = 6.0
"""Force limit of the fingers' motor in its own unit; about 50 N at each pad."""
PAD_HALF_M = 0.009
"""Half the thickness of a finger, meters."""
STEP_S = 0.002
_GAINS = ((4500, 450), (4500, 450), (3500, 350), (3500, 350), (2000, 200), (2000, 200), (2000, 200))
_FAR_M = (0.0, 0.0, -5.0)


def arm_file() -> Path:
    """Path of the arm's description in the installed wheel.

    Raises:
        DependencyError: The wheel is not installed.
    """
    from importlib.util import find_spec

    found = find_spec("tabletask")
    path = None if found is None or found.origin is None else Path(found.origin).parent / "mujoco/robots/assets/droid/model.xml"
    if path is None or not path.is_file():
        given = "no module named tabletask" if path is None else f"no {path}"
        raise DependencyError("The simulated arm needs the meshes of tabletask", given, "pip install 'molmo-point[arm]'")
    return path


def world_spec(layout: Layout, width: int, height: int) -> Any:
    """Make the ``MjSpec`` of a layout with free objects, the arm and its cameras.

    Args:
        layout: Objects, containers, table, light, and the fixed camera.
        width: Width of the largest image, pixels.
        height: Height of the largest image, pixels.
    """
    mujoco = import_mujoco()
    spec = mujoco.MjSpec.from_string(layout_to_mjcf(layout, width, height))
    spec.option.timestep = STEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    spec.geom("table").size = [0.75, 0.6, 0.02]
    for number, item in enumerate(layout.objects):
        name = f"{OBJECT_PREFIX}{number}"
        if isinstance(item, PlacedToy):
            add_toy(spec, item, name, f"{name}_solid", free=True)
        else:
            _free(spec, name)
    for number, item in enumerate(layout.containers):
        add_container(spec, item, f"{CONTAINER_PREFIX}{number}")
    _attach_arm(spec, mujoco)
    hand = spec.body(HAND)
    _add_tool(hand)
    # MuJoCo's cameras look along -z with y up.
    hand.add_camera(name=WRIST_CAMERA, pos=list(WRIST_M), quat=_quat(np.diag([1.0, -1.0, -1.0])), fovy=WRIST_FOV_Y_DEG)
    axes = camera_axes(OBSERVER) * np.array([1.0, -1.0, -1.0])
    spec.worldbody.add_camera(name=OBSERVER_CAMERA, pos=list(OBSERVER.eye_m), quat=_quat(axes), fovy=OBSERVER.fov_y_deg)
    return spec


def plan_spec() -> Any:
    """Make the ``MjSpec`` of the arm alone with open fingers, seven joints, the table, and boxes to set."""
    mujoco = import_mujoco()
    spec = mujoco.MjSpec()
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # The midphase would look for the boxes where they were when the model was made.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_MIDPHASE
    spec.worldbody.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.75, 0.6, 0.02], pos=[0, 0, -0.02])
    for number in range(BOXES):
        name = f"{OBSTACLE_PREFIX}{number}"
        spec.worldbody.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.01] * 3, pos=list(_FAR_M))
    _attach_arm(spec, mujoco)
    _add_tool(spec.body(HAND))
    for each in (*spec.equalities, *spec.tendons, *spec.actuators):
        spec.delete(each)
    for joint in spec.joints:
        if joint.name not in {f"{ARM}{name}" for name in JOINTS}:
            spec.delete(joint)
    # Static geoms never touch one another, so only the arm is checked.
    return spec


def _attach_arm(spec: Any, mujoco: Any) -> None:
    arm = mujoco.MjSpec.from_file(str(arm_file()))
    for camera in list(arm.cameras):
        arm.delete(camera)
    for number, (stiffness, damping) in enumerate(_GAINS, start=1):
        motor = arm.actuator(f"joint{number}")
        motor.gainprm[0] = stiffness
        motor.biasprm[1:3] = [-stiffness, -damping]
    fingers = arm.actuator("fingers_actuator")
    fingers.forcerange = [-GRIP_FORCE, GRIP_FORCE]
    for name in ("left_pad1", "left_pad2", "right_pad1", "right_pad2"):
        pad = arm.geom(name)
        pad.condim, pad.friction = 4, [0.7, 0.006, 0.0001]
        # The pads are as thick as the fingers; else the finger's own mesh would touch first.
        pad.pos = [pad.pos[0] + pad.size[0] - PAD_HALF_M, *pad.pos[1:]]
        pad.size = [PAD_HALF_M, *pad.size[1:]]
    for geom in arm.geoms:
        if geom.meshname == "tongue":
            geom.contype = geom.conaffinity = 0
    spec.attach(arm, prefix=ARM, frame=spec.worldbody.add_frame(pos=list(FOOT_M)))


def _free(spec: Any, name: str) -> None:
    """Turn a geom of the world into a body that can be pushed, lifted and dropped."""
    still = spec.geom(name)
    body = spec.worldbody.add_body(name=name, pos=still.pos.copy(), quat=still.quat.copy())
    body.add_freejoint(name=name)
    look = {"type": still.type, "size": still.size.copy(), "rgba": still.rgba.copy()}
    body.add_geom(name=f"{name}_solid", density=DENSITY_KG_M3, friction=[0.7, 0.005, 0.0008], condim=6, **look)
    spec.delete(still)


def _add_tool(hand: Any) -> None:
    # The fingers close along x of the hand and along y of the tool frame.
    axes = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    hand.add_site(name=TOOL_SITE, pos=[0.0, 0.0, TOOL_Z_M], quat=_quat(axes))


def _quat(rotation: np.ndarray) -> np.ndarray:
    quat = np.zeros(4)
    import_mujoco().mju_mat2Quat(quat, np.ascontiguousarray(rotation, dtype=np.float64).ravel())
    return quat
