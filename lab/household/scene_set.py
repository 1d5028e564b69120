"""Shards of household scenes for training; rendering can be stopped and resumed at any time.

A folder of shards holds ``things.json`` (the words for every object) and for every shard three files:
``NAME.images.npy`` (n, h, w, 3) uint8, ``NAME.masks.npy`` (n, h, w) int8 (index of the object seen, −1 for none) and
``NAME.json`` (one `lab.household.truth.scene_truth` for every image). The JSON is written last, so that a shard with
a JSON file is complete.
"""

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lab.household.arrangement import MAX_OBJECTS
from lab.household.arranging import random_arrangement
from lab.household.asset_pack import Asset, load_pack
from lab.household.formula_assets import formula_assets
from lab.household.stage import Stage
from lab.household.truth import scene_truth, thing_words
from lab.training.scenes import OVERSAMPLING, RENDER_HEIGHT, RENDER_WIDTH, averaged

THINGS = "things.json"

_stages: dict[Path | None, tuple[list[Asset], Stage]] = {}


def household_assets(pack: Path | None = None) -> list[Asset]:
    """Return all objects of household scenes: those of the pack and those made by formula."""
    return [*load_pack(pack), *formula_assets()]


def render_household_shard(
    folder: Path, name: str, seed: int, image_count: int, held_out: bool = False, pack: Path | None = None
) -> int:
    """Render one shard; an interrupted one has no JSON file and is rendered again.

    Args:
        folder: Where the files go.
        name: Stem of the files.
        seed: Seed of all randomness of this shard.
        image_count: Images in the shard.
        held_out: Whether to draw evaluation scenes; see `random_arrangement`.
        pack: Asset pack; None takes the default one.

    Returns:
        ``image_count``.
    """
    if pack not in _stages:
        assets = household_assets(pack)
        _stages[pack] = (assets, Stage(assets, RENDER_WIDTH * OVERSAMPLING, RENDER_HEIGHT * OVERSAMPLING))
    assets, stage = _stages[pack]
    rng = np.random.default_rng([seed, int(held_out)])
    images = np.zeros((image_count, RENDER_HEIGHT, RENDER_WIDTH, 3), np.uint8)
    masks = np.full((image_count, RENDER_HEIGHT, RENDER_WIDTH), -1, np.int8)
    truths = []
    for index in range(image_count):
        # A tenth of the pictures shows next to nothing: what is not there must be learnt, too.
        count = int(rng.integers(0, 3)) if rng.random() < 0.1 else int(rng.integers(2, MAX_OBJECTS + 1))
        arrangement = random_arrangement(rng, assets, held_out, count)
        stage.show(arrangement)
        big = stage.render_masks()
        images[index] = averaged(stage.render_color())
        masks[index] = big[::OVERSAMPLING, ::OVERSAMPLING]
        truths.append(scene_truth(arrangement, stage, big))
    np.save(folder / f"{name}.images.npy", images)
    np.save(folder / f"{name}.masks.npy", masks)
    (folder / f"{name}.json").write_text(json.dumps(truths), encoding="utf-8")
    return image_count


def write_things(folder: Path, pack: Path | None = None) -> None:
    """Write the words for every object."""
    words = {asset.key: thing_words(asset) for asset in household_assets(pack)}
    (folder / THINGS).write_text(json.dumps(words), encoding="utf-8")


def main() -> None:
    """Run ``python -m lab.household.scene_set --out DIR --images N [--workers W] [--held-out]``."""
    parser = argparse.ArgumentParser(description="Render household scenes ahead.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--images", type=int, default=25_000, help="images in all")
    parser.add_argument("--shard", type=int, default=250, help="images in one shard")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first shard")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--held-out", action="store_true", help="evaluation scenes: unseen objects, tables, lights, cameras")
    parser.add_argument("--pack", type=Path, help="asset pack; the cached or shipped one where left out")
    args = parser.parse_args()
    args.shard = min(args.shard, args.images)
    args.out.mkdir(parents=True, exist_ok=True)
    write_things(args.out, args.pack)
    jobs = []
    for index in range(args.images // args.shard):
        name = f"shard_{args.seed}_{index:04d}"
        if not (args.out / f"{name}.json").exists():
            jobs.append((args.out, name, args.seed * 100_003 + index, args.shard, args.held_out, args.pack))
    done = args.images // args.shard - len(jobs)
    with tqdm(total=args.images, initial=done * args.shard, desc="scenes", unit="scene") as bar:
        if args.workers <= 1:
            for job in jobs:
                bar.update(render_household_shard(*job))
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(args.workers, mp_context=context) as pool:
            for finished in as_completed([pool.submit(render_household_shard, *job) for job in jobs]):
                bar.update(finished.result())


if __name__ == "__main__":
    main()
