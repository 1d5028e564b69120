"""A simulated table with a moving camera, moving objects, an occluder and changing light."""

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np

from molmo_point.sim.camera_pose import CameraPose, aim_camera, camera_geometry
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.rendered_scene import MujocoScene
from molmo_point.sim.tabletop.layout import Layout, random_layout
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX, layout_to_mjcf
from molmo_point.sim.tabletop.objects import SceneObject

KINDS = ("camera", "object", "both", "occluder", "occluder and camera", "light", "fast", "leaving")
"""Kinds of sequences by their moving parts."""

_FAR_AWAY = (0.0, 0.0, -3.0)
_SPECKLED = 0.7
_OCCLUDER_HALF_M = (0.012, 0.09, 0.05)


@dataclass(frozen=True)
class Course:
    """Motion of camera, objects, occluder and light, in meters, radians and seconds.

    Attributes:
        kind: One of `KINDS`.
        camera_rate: (3,) speed of the camera's position, base frame.
        look_rate: (3,) speed of the point that it looks at.
        object_rate: For each object (x, y) speed and turn rate.
        passing_s: Time at which the occluder is in the middle, seconds; infinite without an occluder.
        light: Swing of the brightness, as a share.
    """

    kind: str
    camera_rate: tuple[float, float, float]
    look_rate: tuple[float, float, float]
    object_rate: tuple[tuple[float, float, float], ...]
    passing_s: float
    light: float


def random_course(kind: str, layout: Layout, rng: np.random.Generator) -> Course:
    """Draw how a table moves; camera 4 to 15 cm/s, objects 3 to 8 cm/s, in sequences of their kind."""
    still = (0.0, 0.0, 0.0)
    speed = rng.uniform(0.04, 0.15) * (4.0 if kind == "fast" else 1.0)
    direction = rng.normal(size=3) * np.array([1.0, 1.0, 0.6])
    camera = tuple(float(v) for v in speed * direction / np.linalg.norm(direction))
    turning = rng.normal(size=2) * (0.3 if kind == "fast" else 0.02)
    look = (float(turning[0]), float(turning[1]), 0.0)
    if kind == "leaving":
        angle = rng.uniform(0, 2 * np.pi)
        look = (0.22 * math.cos(angle), 0.22 * math.sin(angle), 0.0)
    moves = kind in ("object", "both")
    rates = []
    for _ in layout.objects:
        heading, pace, turn = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.08), rng.uniform(-0.5, 0.5)
        rates.append((pace * math.cos(heading), pace * math.sin(heading), turn) if moves else still)
    camera_moves = kind in ("camera", "both", "occluder and camera", "light", "fast")
    return Course(
        kind=kind,
        camera_rate=camera if camera_moves else still,  # type: ignore[arg-type]
        look_rate=look if camera_moves or kind == "leaving" else still,
        object_rate=tuple(rates),
        passing_s=float(rng.uniform(1.4, 1.9)) if kind.startswith("occluder") else math.inf,
        light=float(rng.uniform(0.2, 0.35)) if kind == "light" else 0.0,
    )


def pose_at(item: SceneObject, rate: tuple[float, float, float], time_s: float) -> tuple[np.ndarray, float]:
    """Position (3,) and turn of an object, base frame, `time_s` seconds after the start."""
    x, y, turn = rate
    return np.array(item.position_base_m) + time_s * np.array([x, y, 0.0]), item.yaw_rad + time_s * turn


class MovingScene(MujocoScene):
    """A table that can be rendered at any moment; attributes and errors are those of `MujocoScene`.

    Args:
        kind: One of `KINDS`.
        seed: Seed of everything random.
        width: Image width, pixels.
        height: Image height, pixels.
    """

    def __init__(self, kind: str, seed: int, width: int = 640, height: int = 480) -> None:
        rng = np.random.default_rng([seed, KINDS.index(kind)])
        self.layout = random_layout(rng, int(rng.integers(3, 7)))
        self.course = random_course(kind, self.layout, rng)
        text = _with_speckles(layout_to_mjcf(self.layout, width, height), rng)
        model = import_mujoco().MjModel.from_xml_string(text)
        # Poses change with every frame, so MuJoCo must not take any for that of the body.
        model.geom_sameframe[:] = 0
        objects = {f"{OBJECT_PREFIX}{i}": item for i, item in enumerate(self.layout.objects)}
        super().__init__(model, self.layout.camera, (width, height), objects)
        self._gain = 1.0
        self._across_m = float(rng.choice([-1.0, 1.0]))
        self.show(0.0)

    def show(self, time_s: float, aim_m: np.ndarray | None = None) -> None:
        """Set the scene to the time `time_s` seconds after the start.

        Args:
            time_s: Seconds.
            aim_m: Point (3,) that the occluder hides, base frame; None takes the middle of the table.
        """
        course, camera = self.course, self.layout.camera
        swing = math.sin(2.2 * time_s) / 2.2 if course.kind == "fast" else time_s
        eye = np.array(camera.eye_m) + swing * np.array(course.camera_rate)
        look = np.array(camera.look_at_m) + swing * np.array(course.look_rate)
        pose = CameraPose(tuple(eye.tolist()), tuple(look.tolist()), camera.fov_y_deg)
        self.intrinsics, self.base_T_camera = camera_geometry(pose, *self._size_wh)
        aim_camera(self._model, pose)
        for index, geom in enumerate(self._geoms):
            position, yaw = pose_at(self.objects[index], self.course.object_rate[index], time_s)
            self._model.geom_pos[geom] = position
            self._model.geom_quat[geom] = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
        self._pass(time_s, eye, np.zeros(3) if aim_m is None else aim_m)
        self._gain = 1.0 + course.light * math.sin(2.0 * time_s) + (0.5 * course.light if time_s > 1.7 else 0.0)
        self._mujoco.mj_forward(self._model, self._data)

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """Color (h, w, 3) uint8 RGB and exact depth (h, w) float32 meters along z."""
        color, depth_m = super().render()
        if self._gain != 1.0:
            color = np.clip(color * self._gain, 0, 255).astype(np.uint8)
        return color, depth_m

    def _pass(self, time_s: float, eye: np.ndarray, aim: np.ndarray) -> None:
        geom = self._geom("passing")
        if not math.isfinite(self.course.passing_s):
            self._model.geom_pos[geom] = _FAR_AWAY
            return
        towards = aim - eye
        towards /= np.linalg.norm(towards)
        across = np.cross(towards, [0.0, 0.0, 1.0])
        across /= np.linalg.norm(across)
        axes = np.stack([towards, across, np.cross(towards, across)], axis=1)
        offset = 0.35 * self._across_m * (time_s - self.course.passing_s)
        self._model.geom_pos[geom] = eye + 0.7 * (aim - eye) + offset * across
        self._mujoco.mju_mat2Quat(self._model.geom_quat[geom], np.ascontiguousarray(axes).ravel())


def _with_speckles(text: str, rng: np.random.Generator) -> str:
    """Add the occluder, and speckles on most objects, since real objects have texture."""
    root = ElementTree.fromstring(text)
    assets, world = root.find("asset"), root.find("worldbody")
    assert assets is not None and world is not None
    half = " ".join(str(v) for v in _OCCLUDER_HALF_M)
    ElementTree.SubElement(world, "geom", name="passing", type="box", size=half, pos="0 0 -3", rgba="0.62 0.45 0.35 1")
    for geom in list(world.iter("geom")):
        name = geom.get("name", "")
        if not (name.startswith(OBJECT_PREFIX) or name == "passing") or rng.random() > _SPECKLED:
            continue
        rgb = np.array([float(v) for v in geom.get("rgba", "").split()[:3]])
        mark = np.clip(rgb * 0.55 if rgb.mean() > 0.25 else rgb + 0.25, 0, 1)
        ElementTree.SubElement(
            assets, "texture", name=f"speckles_{name}", type="cube", builtin="flat", mark="random", width="24", height="24",
            random=f"{rng.uniform(0.06, 0.2)}", rgb1=_words(rgb), rgb2=_words(rgb), markrgb=_words(mark),
        )  # fmt: skip
        ElementTree.SubElement(assets, "material", name=f"speckles_{name}", texture=f"speckles_{name}", specular="0.1")
        geom.set("material", f"speckles_{name}")
        geom.set("rgba", "1 1 1 1")
    return ElementTree.tostring(root, encoding="unicode")


def _words(values: np.ndarray) -> str:
    return " ".join(f"{v:.4f}" for v in values)
