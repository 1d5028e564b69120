"""Views of the simulated arm's cameras: the scene behind a `SimulatedCamera`."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.arm.physics_model import FIXED_CAMERA, HAND, OBSERVER_CAMERA, TOOL_SITE, WRIST_CAMERA
from molmo_point.sim.camera_pose import BASE_FRAME, CAMERA_FRAME
from molmo_point.sim.mujoco_import import import_mujoco

FIXED, WRIST, OBSERVER = "fixed", "wrist", "observer"
FRAMES = {FIXED: CAMERA_FRAME, WRIST: "wrist_camera_color_optical_frame", OBSERVER: "observer_camera_color_optical_frame"}
"""Optical frame of each camera."""
_IN_MODEL = {FIXED: FIXED_CAMERA, WRIST: WRIST_CAMERA, OBSERVER: OBSERVER_CAMERA}
_OPTICAL = np.diag([1.0, -1.0, -1.0])


class Rendered(Protocol):
    """The parts of an arm that a view needs."""

    model: object
    data: object
    tool_frame: str

    def render(self, camera: str, kind: str) -> NDArray[np.generic]:
        """Render a pass of a camera of the model: "color", "depth" or "segmentation"."""
        ...


class ArmView:
    """One camera: its images, intrinsics, and true pose.

    Args:
        arm: The arm with the camera.
        name: "fixed", "wrist" or "observer".
        width: Width of the image, pixels.
        height: Height of the image, pixels.

    Attributes:
        name: Name of the camera.
        frame: Optical frame.
        intrinsics: Pinhole intrinsics without distortion.
        mount: True `tool_T_camera` of a camera on the hand; None for a fixed camera.
    """

    def __init__(self, arm: Rendered, name: str, width: int, height: int) -> None:
        self._arm, self.name, self.frame = arm, name, FRAMES[name]
        self._camera = _IN_MODEL[name]
        camera = arm.model.camera(self._camera)  # type: ignore[attr-defined]
        focal_px = float(0.5 * height / np.tan(0.5 * np.deg2rad(camera.fovy[0])))
        self.intrinsics = Intrinsics(
            width=width, height=height, fx=focal_px, fy=focal_px, cx=(width - 1) / 2, cy=(height - 1) / 2
        )
        self.mount = self._mount() if name == WRIST else None

    @property
    def pose(self) -> Transform:
        """True `base_T_camera` now."""
        camera = self._arm.data.camera(self._camera)  # type: ignore[attr-defined]
        rotation = camera.xmat.reshape(3, 3) @ _OPTICAL
        return Transform(BASE_FRAME, self.frame, rotation, camera.xpos.copy())

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """Render color (h, w, 3) uint8 RGB and exact depth (h, w) float32, meters along z."""
        return self.render_color(), self._arm.render(self._camera, "depth").astype(np.float32)

    def render_color(self) -> np.ndarray:
        """Render color alone, (h, w, 3) uint8 RGB."""
        return self._arm.render(self._camera, "color")

    def render_geoms(self) -> np.ndarray:
        """Render the number of the geom at each pixel (h, w), -1 for none."""
        return self._arm.render(self._camera, "segmentation")[..., 0]

    def _mount(self) -> Transform:
        mujoco = import_mujoco()

        def pose(quat: np.ndarray, position: np.ndarray) -> np.ndarray:
            matrix = np.zeros(9)
            mujoco.mju_quat2Mat(matrix, np.asarray(quat, float))
            whole = np.eye(4)
            whole[:3, :3], whole[:3, 3] = matrix.reshape(3, 3), position
            return whole

        model = self._arm.model
        camera, site = model.camera(self._camera), model.site(TOOL_SITE)  # type: ignore[attr-defined]
        assert model.body(HAND).id == camera.bodyid[0] == site.bodyid[0]  # type: ignore[attr-defined]
        hand_T_camera = pose(camera.quat, camera.pos) @ np.block([[_OPTICAL, np.zeros((3, 1))], [np.zeros((1, 3)), 1.0]])
        tool_T_camera = np.linalg.inv(pose(site.quat, site.pos)) @ hand_T_camera
        return Transform.from_matrix(self._arm.tool_frame, self.frame, tool_T_camera)
