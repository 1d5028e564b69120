"""Shards of plain scenes for training.

A shard is three files: ``NAME.images.npy`` (n, h, w, 3) uint8, ``NAME.masks.npy`` (n, h, w) int8
(index of the object seen, −1 for none) and ``NAME.json`` (names of the objects of every image).
The JSON is written last, so that a shard with a JSON file is complete.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.camera_pose import CameraPose
from molmo_point.sim.tabletop.layout import random_camera, random_layout
from molmo_point.sim.tabletop.scene import TabletopScene

RENDER_WIDTH, RENDER_HEIGHT = 320, 240
"""Size of the stored pictures; they are rendered at a multiple and averaged, as a camera smooths edges."""
OVERSAMPLING = 2
VIEWS_PER_SCENE = 5
_ARM_SHARE, _ARM_VIEW_SHARE = 0.6, 0.6
_ARM_DISTANCE_M, _ARM_ELEVATION_DEG = (0.30, 0.85), (35.0, 89.0)


def render_shard(folder: Path, name: str, seed: int, image_count: int) -> None:
    """Render one shard; an interrupted one has no JSON file.

    Args:
        folder: Where the files go.
        name: Stem of the files.
        seed: Seed of all randomness of this shard.
        image_count: Images in the shard.
    """
    rng = np.random.default_rng(seed)
    images = np.zeros((image_count, RENDER_HEIGHT, RENDER_WIDTH, 3), np.uint8)
    masks = np.zeros((image_count, RENDER_HEIGHT, RENDER_WIDTH), np.int8)
    rows: list[list[dict[str, str]]] = []
    while len(rows) < image_count:
        layout = random_arm_layout(rng) if rng.random() < _ARM_SHARE else random_layout(rng)
        with TabletopScene(layout, RENDER_WIDTH * OVERSAMPLING, RENDER_HEIGHT * OVERSAMPLING) as scene:
            for _ in range(min(VIEWS_PER_SCENE, image_count - len(rows))):
                scene.move_camera(arm_camera(rng) if rng.random() < _ARM_VIEW_SHARE else random_camera(rng))
                images[len(rows)] = averaged(scene.render_color())
                masks[len(rows)] = scene.render_masks()[::OVERSAMPLING, ::OVERSAMPLING]
                rows.append([{"color": o.color, "shape": o.shape} for o in scene.objects])
    np.save(folder / f"{name}.images.npy", images)
    np.save(folder / f"{name}.masks.npy", masks)
    (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def arm_camera(rng: np.random.Generator) -> CameraPose:
    """Draw a camera on an arm: at the side of the table or over it, or near one place of it; 0.30 to 0.85 m away."""
    distance = rng.uniform(*_ARM_DISTANCE_M)
    elevation, azimuth = np.deg2rad(rng.uniform(*_ARM_ELEVATION_DEG)), rng.uniform(0, 2 * np.pi)
    # From nearby any place of the table may be in view.
    spread = 0.03 + 0.12 * (_ARM_DISTANCE_M[1] - distance) / (_ARM_DISTANCE_M[1] - _ARM_DISTANCE_M[0])
    x, y = rng.uniform(-spread, spread, 2)
    level = distance * np.cos(elevation)
    eye = (float(x + level * np.cos(azimuth)), float(y + level * np.sin(azimuth)), float(0.02 + distance * np.sin(elevation)))
    return CameraPose(eye_m=eye, look_at_m=(float(x), float(y), 0.02), fov_y_deg=float(rng.uniform(40.0, 56.0)))


def averaged(color: np.ndarray) -> np.ndarray:
    """Return a picture (h, w, 3) uint8 of `OVERSAMPLING` times fewer pixels along each side, each the mean of a square."""
    corners = [color[i::OVERSAMPLING, j::OVERSAMPLING] for i in range(OVERSAMPLING) for j in range(OVERSAMPLING)]
    total = np.full(corners[0].shape, OVERSAMPLING**2 // 2, np.uint16)
    for corner in corners:
        total += corner
    return (total // OVERSAMPLING**2).astype(np.uint8)


def main() -> None:
    """Run ``python -m lab.training.scenes --out DIR --images N``."""
    parser = argparse.ArgumentParser(description="Render training scenes ahead.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--images", type=int, default=12000, help="images in all")
    parser.add_argument("--shard", type=int, default=500, help="images in one shard")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first shard")
    args = parser.parse_args()
    args.shard = min(args.shard, args.images)
    args.out.mkdir(parents=True, exist_ok=True)
    for index in tqdm(range(args.images // args.shard), desc="shards", unit="shard"):
        name = f"shard_{args.seed}_{index:04d}"
        if not (args.out / f"{name}.json").exists():
            render_shard(args.out, name, args.seed * 100_003 + index, args.shard)


if __name__ == "__main__":
    main()
