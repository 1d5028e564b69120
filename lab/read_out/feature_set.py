"""Features of rendered scenes for the training of the read-out, with the object of every cell.

`python -m lab.read_out.feature_set --out DIR --images N [--plain]`

A folder holds `features.npy` (n, 30, 40, 272) float16, `cells.npy` (n, 60, 80) int8 (index of the object in the middle of each
cell of 8 pixels, −1 for none) and `objects.json` (the words and the middle of every object of each image). The JSON comes last.
"""

import argparse
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from lab.household.arrangement import MAX_OBJECTS
from lab.household.arranging import random_arrangement
from lab.household.scene_set import household_assets
from lab.household.stage import Stage
from lab.household.truth import scene_truth, thing_words
from lab.training.referring import SeenObject
from lab.training.scenes import arm_camera
from lab.training.shards import seen_objects
from molmo_point.arrays import ColorArray
from molmo_point.model.taught.feature_network import load_feature_network
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.tabletop.layout import random_camera, random_layout
from molmo_point.sim.tabletop.scene import TabletopScene

WIDTH, HEIGHT, CELL = 640, 480, 8
_VIEWS, _ARM_SHARE = 4, 0.6
_CLEAN_SHARE = 0.25


@dataclass(frozen=True)
class CellObject:
    """Words and place of one object.

    Attributes:
        nouns: Words that certainly fit.
        doubtful: Words that some people would use.
        categories: Categories that certainly fit.
        colors: Colors that certainly fit.
        maybe_colors: Colors that somebody might name.
        uv: Middle of its visible part in pixels.
    """

    nouns: tuple[str, ...]
    doubtful: tuple[str, ...]
    categories: tuple[str, ...]
    colors: tuple[str, ...]
    maybe_colors: tuple[str, ...]
    uv: tuple[float, float]


View = tuple[ColorArray, np.ndarray, list[CellObject]]


def household_views(rng: np.random.Generator, count: int, pack: Path | None = None) -> Iterator[View]:
    """Render household scenes of the training: image, instance mask and objects."""
    assets = household_assets(pack)
    words = {asset.key: thing_words(asset) for asset in assets}
    with Stage(assets, WIDTH, HEIGHT) as stage:
        for _ in range(count):
            arrangement = random_arrangement(rng, assets, False, int(rng.integers(2, MAX_OBJECTS + 1)), WIDTH / HEIGHT)
            stage.show(arrangement)
            mask = stage.render_masks()
            yield (
                stage.render_color(),
                mask,
                [_cell_object(o) for o in seen_objects(mask, scene_truth(arrangement, stage, mask), words)],
            )


def plain_views(rng: np.random.Generator, count: int) -> Iterator[View]:
    """Render tables with plain shapes: image, instance mask and objects."""
    for done in range(0, count, _VIEWS):
        layout = random_arm_layout(rng) if rng.random() < _ARM_SHARE else random_layout(rng)
        with TabletopScene(layout, WIDTH, HEIGHT) as scene:
            for _ in range(min(_VIEWS, count - done)):
                scene.move_camera(arm_camera(rng) if rng.random() < _ARM_SHARE else random_camera(rng))
                mask = scene.render_masks()
                rows = [
                    CellObject((o.shape,), (), ("shapes",), (o.color,), (o.color,), _middle(mask == number))
                    for number, o in enumerate(scene.objects)
                ]
                yield scene.render_color(), mask, rows


def augmented(color: ColorArray, rng: np.random.Generator) -> ColorArray:
    """Return an image in other light, or with blur, noise or artifacts; a quarter of the images stay as they are."""
    if rng.random() < _CLEAN_SHARE:
        return color
    values = color.astype(np.float32) * rng.uniform(0.6, 1.35) * rng.uniform(0.88, 1.12, 3).astype(np.float32)
    values = (values - values.mean()) * rng.uniform(0.75, 1.25) + values.mean()
    values = 255 * np.clip(values / 255, 0, 1) ** rng.uniform(0.8, 1.25)
    if rng.random() < 0.3:
        values = values + rng.normal(0, rng.uniform(2, 12), values.shape)
    image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 2.0)))
    if rng.random() < 0.2:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(20, 80)))
        image = Image.open(buffer)
    return np.asarray(image)


def write_features(folder: Path, views: Iterator[View], count: int, rng: np.random.Generator) -> None:
    """Write the features of views, half of them mirrored."""
    folder.mkdir(parents=True, exist_ok=True)
    network = load_feature_network()
    shape = (HEIGHT // (2 * CELL), WIDTH // (2 * CELL))
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, (count, *shape, network.channels))
    cells = np.lib.format.open_memmap(folder / "cells.npy", "w+", np.int8, (count, 2 * shape[0], 2 * shape[1]))
    rows = []
    for number, (color, mask, objects) in enumerate(tqdm(views, total=count, desc="images")):
        if rng.random() < 0.5:
            color, mask = color[:, ::-1], mask[:, ::-1]
            objects = [CellObject(**{**asdict(each), "uv": (WIDTH - 1 - each.uv[0], each.uv[1])}) for each in objects]
        features[number] = network.grid(augmented(np.ascontiguousarray(color), rng)).values
        cells[number] = mask[CELL // 2 :: CELL, CELL // 2 :: CELL]
        rows.append([asdict(each) for each in objects])
    (folder / "objects.json").write_text(json.dumps(rows), encoding="utf-8")


def _cell_object(seen: SeenObject) -> CellObject:
    uv = (seen.x_percent / 100 * WIDTH - 0.5, seen.y_percent / 100 * HEIGHT - 0.5)
    nouns, doubtful, categories, colors, maybe = (
        tuple(sorted(words)) for words in (seen.nouns, seen.doubtful, seen.categories, seen.colors, seen.maybe_colors)
    )
    return CellObject(nouns, doubtful, categories, colors, maybe, uv)


def _middle(mask: np.ndarray) -> tuple[float, float]:
    v, u = np.nonzero(mask)
    return (float(u.mean()), float(v.mean())) if len(u) else (0.0, 0.0)


def main() -> None:
    """Run `python -m lab.read_out.feature_set --out DIR --images N [--plain] [--seed S]`."""
    parser = argparse.ArgumentParser(description="Render scenes and write their features.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--images", type=int, default=3000, help="images (3000)")
    parser.add_argument("--plain", action="store_true", help="plain shapes instead of household objects")
    parser.add_argument("--seed", type=int, default=1001, help="seed of all scenes (1001)")
    parser.add_argument("--pack", type=Path, help="asset pack; the cached or shipped one where left out")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    views = plain_views(rng, args.images) if args.plain else household_views(rng, args.images, args.pack)
    write_features(args.out, views, args.images, rng)


if __name__ == "__main__":
    main()
