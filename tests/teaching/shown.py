"""Pictures of objects on a table, without a renderer: color, depth and the true mask."""

import cv2
import numpy as np

from molmo_point.frame import RgbdFrame
from molmo_point.patch_features import PatchFeatures
from molmo_point.teaching.object_mask import ObjectMask

from ..grasp.solids import INTRINSICS, color_of, depth_of, mask_of, solid

BOX = solid("brick", (0.045, 0.025, 0.02), yaw_deg=25.0)
BALL = solid("ball", (0.03, 0.03, 0.03), xy=(0.0, 0.13))
TABLE = solid("ball", (1e-3, 1e-3, 1e-3), xy=(5.0, 5.0))
RED, GREEN = (190, 40, 40), (40, 160, 60)


def textured(color: np.ndarray, seed: int = 0, noise: float = 2.0) -> np.ndarray:
    """Add a soft texture of the table and the camera's noise."""
    rng = np.random.default_rng(seed)
    broad = cv2.GaussianBlur(np.random.default_rng(9).normal(0, 60, color.shape[:2]), (0, 0), 4)[..., None]
    table = (color == 160).all(axis=2, keepdims=True)
    return np.clip(color + table * broad + rng.normal(0, noise, color.shape), 0, 255).astype(np.uint8)


def frame_of(*objects, colors=(RED, GREEN), depth: bool = True, seed: int = 0) -> RgbdFrame:
    """Make a frame of objects on a table; of none, the empty table."""
    shown = objects or (TABLE,)
    color = textured(color_of(shown, colors[: len(objects)]), seed)
    return RgbdFrame(color, depth_of(shown) if depth else None, INTRINSICS, stamp_ns=1)


def overlap(found: object, *objects, index: int = 0) -> float:
    """Return the intersection over union with the true mask, outside of the ignored rim."""
    assert isinstance(found, ObjectMask), found
    true, care = mask_of(objects, index), ~found.ignored
    assert not (found.mask & found.ignored).any()
    return float((found.mask & true & care).sum() / ((found.mask | true) & care).sum())


class MeanColors:
    """Stand-in for the feature network, in no time: the mean color of every patch of 16 pixels."""

    def grid(self, color: np.ndarray, longest_px: float = 640.0) -> PatchFeatures:
        rows, columns = color.shape[0] // 16, color.shape[1] // 16
        patches = color[: 16 * rows, : 16 * columns].reshape(rows, 16, columns, 16, 3).mean(axis=(1, 3))
        return PatchFeatures(patches.astype(np.float32) - 128.0, 16.0, (-0.5, -0.5))
