"""A small RGB-D scene that needs no renderer: a red box before a grey wall, and a hole in the depth."""

import numpy as np

from molmo_point.geometry.intrinsics import Intrinsics

INTRINSICS = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
FRAME = "camera_color_optical_frame"
WALL_M, BOX_M = 0.8, 0.5
BOX_UV, HOLE_UV, WALL_UV = (110.0, 40.0), (30.0, 90.0), (120.0, 95.0)


def box_scene() -> tuple[np.ndarray, np.ndarray]:
    """Colour (h, w, 3) and depth (h, w) in metres."""
    color = np.full((120, 160, 3), 120, np.uint8)
    depth = np.full((120, 160), WALL_M, np.float32)
    color[20:61, 90:131] = (200, 20, 20)
    depth[20:61, 90:131] = BOX_M
    depth[70:111, 10:51] = np.nan
    return color, depth


def box_truth_m() -> np.ndarray:
    """Where the ray of BOX_UV meets the box, in the optical frame (3,)."""
    return np.array([(BOX_UV[0] - 79.5) / 150 * BOX_M, (BOX_UV[1] - 59.5) / 150 * BOX_M, BOX_M])


def point_text(uv: tuple[float, float], label: str, intrinsics: Intrinsics = INTRINSICS) -> str:
    """What Molmo writes for a pixel."""
    x, y = (uv[0] + 0.5) / intrinsics.width * 100, (uv[1] + 0.5) / intrinsics.height * 100
    return f'<point x="{x:.6f}" y="{y:.6f}" alt="{label}">{label}</point>'
