"""A made-up frame: a box of known width on a tilted table, and a glass hole in the table, as files of a labeled folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.camera.image_file import encode_depth
from molmo_point.files import encode_png, write_file

WIDTH, HEIGHT, FOCAL_PX = 320, 240, 300.0
BOX = [130, 80, 190, 160]
POINTS: tuple[dict[str, Any], ...] = (
    {"name": "box", "u": 160, "v": 120, "z_from_m": 0.5, "z_to_m": 0.5, "graspable": True, "width_m": 0.1, "box": BOX},
    {"name": "table", "u": 60, "v": 120, "z_from_m": 0.59, "z_to_m": 0.61, "graspable": False},
    {"name": "edge", "u": 132, "v": 120, "z_from_m": 0.5, "z_to_m": 0.5},
    {"name": "glass", "u": 250, "v": 120, "z_from_m": 0.52, "z_to_m": 0.54, "kind": "glass"},
    {"name": "unknown", "u": 250, "v": 200, "z_from_m": None, "z_to_m": None},
)


def depth_of_box(seed: int = 0) -> np.ndarray:
    """Depth (h, w) in meters with 0.5 mm of noise: table, box, and a hole of 60 px where glass stands."""
    depth_m = np.full((HEIGHT, WIDTH), 0.6) + np.random.default_rng(seed).normal(0.0, 0.0005, (HEIGHT, WIDTH))
    depth_m[BOX[1] : BOX[3], BOX[0] : BOX[2]] -= 0.1
    depth_m[90:150, 220:280] = np.nan
    return depth_m.astype(np.float32)


def write_labeled_box(folder: Path, points: tuple[dict[str, Any], ...] = POINTS) -> Path:
    """Write the four files of the frame; return the folder."""
    folder.mkdir(parents=True)
    color = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    color[BOX[1] : BOX[3], BOX[0] : BOX[2]] = (200, 60, 40)
    write_file(folder / "color.png", encode_png(color))
    write_file(folder / "depth.png", encode_depth(depth_of_box(), 0.0001))
    camera = {"width": WIDTH, "height": HEIGHT, "fx": FOCAL_PX, "fy": FOCAL_PX, "cx": 159.5, "cy": 119.5}
    (folder / "intrinsics.json").write_text(json.dumps(camera))
    (folder / "points.json").write_text(json.dumps({"depth_scale_m": 0.0001, "points": list(points)}))
    return folder
