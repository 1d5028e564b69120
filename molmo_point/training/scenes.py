"""Renders training scenes ahead, into shards that the trainer reads.

A shard is three files: ``NAME.images.npy`` (n, h, w, 3) uint8, ``NAME.masks.npy`` (n, h, w) int8
(index of the object seen, −1 for none) and ``NAME.json`` (names of the objects of every image).
The JSON is written last, so that a shard with a JSON file is complete.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from molmo_point.sim.layout import random_camera, random_layout
from molmo_point.sim.scene import TabletopScene

RENDER_WIDTH, RENDER_HEIGHT = 320, 240
VIEWS_PER_SCENE = 5


def render_shard(folder: Path, name: str, seed: int, image_count: int) -> None:
    """Renders one shard; nothing is left behind if it is interrupted before the JSON file.

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
        with TabletopScene(random_layout(rng), RENDER_WIDTH, RENDER_HEIGHT) as scene:
            for _ in range(min(VIEWS_PER_SCENE, image_count - len(rows))):
                scene.move_camera(random_camera(rng))
                images[len(rows)], masks[len(rows)] = scene.render_color(), scene.render_masks()
                rows.append([{"color": o.color, "shape": o.shape} for o in scene.objects])
    np.save(folder / f"{name}.images.npy", images)
    np.save(folder / f"{name}.masks.npy", masks)
    (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def main() -> None:
    """``python -m molmo_point.training.scenes --out DIR --images N``."""
    parser = argparse.ArgumentParser(description="Render training scenes ahead.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--images", type=int, default=12000, help="images in all")
    parser.add_argument("--shard", type=int, default=500, help="images in one shard")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first shard")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for index in tqdm(range(args.images // args.shard), desc="shards", unit="shard"):
        name = f"shard_{args.seed}_{index:04d}"
        if not (args.out / f"{name}.json").exists():
            render_shard(args.out, name, args.seed * 100_003 + index, args.shard)


if __name__ == "__main__":
    main()
