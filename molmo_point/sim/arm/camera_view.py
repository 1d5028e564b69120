"""Views of the simulated arm's cameras: the scene behind a `SimulatedCamera`."""

from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.arm.physics_model import FIXED_CAMERA, OBSERVER_CAMERA, TOOL_SITE, WRIST_CAMERA
from molmo_point.sim.camera_pose import BASE_FRAME, CAMERA_FRAME, pinhole
from molmo_point.sim.mujoco_import import import_mujoco

FIXED, WRIST, OBSERVER = "fixed", "wrist", "observer"
_PARTS = {
    FIXED: (FIXED_CAMERA, CAMERA_FRAME),
    WRIST: (WRIST_CAMERA, "wrist_camera_color_optical_frame"),
    OBSERVER: (OBSERVER_CAMERA, "observer_camera_color_optical_frame"),
}
"""Name in the model, and optical frame, of each camera."""
_OPTICAL = np.diag([1.0, -1.0, -1.0])


class ArmView:
    """One camera: its images, intrinsics, and true pose.

    Args:
        arm: The `SimulatedArm` with the camera.
        name: "fixed", "wrist" or "observer".
        width: Width of the image, pixels.
        height: Height of the image, pixels.

    Attributes:
        name: Name of the camera.
        frame: Optical frame.
        intrinsics: Pinhole intrinsics without distortion.
        mount: True `tool_T_camera` of a camera on the hand; None for a fixed camera.
    """

    def __init__(self, arm: Any, name: str, width: int, height: int) -> None:
        self._arm, self.name = arm, name
        self._camera, self.frame = _PARTS[name]
        self.intrinsics = pinhole(width, height, float(arm.model.camera(self._camera).fovy[0]))
        self.mount = self._mount() if name == WRIST else None

    @property
    def pose(self) -> Transform:
        """True `base_T_camera` now."""
        camera = self._arm.data.camera(self._camera)
        return Transform(BASE_FRAME, self.frame, camera.xmat.reshape(3, 3) @ _OPTICAL, camera.xpos.copy())

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
        """Pose of the camera in the tool frame; both are parts of the hand."""
        hand_T_camera = _pose_in_body(self._arm.model.camera(self._camera)) @ np.diag([1.0, -1.0, -1.0, 1.0])
        tool_T_camera = np.linalg.inv(_pose_in_body(self._arm.model.site(TOOL_SITE))) @ hand_T_camera
        return Transform.from_matrix(self._arm.tool_frame, self.frame, tool_T_camera)


def _pose_in_body(part: Any) -> FloatArray:
    matrix, pose = np.zeros(9), np.eye(4)
    import_mujoco().mju_quat2Mat(matrix, part.quat)
    pose[:3, :3], pose[:3, 3] = matrix.reshape(3, 3), part.pos
    return pose
