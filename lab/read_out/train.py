"""`python -m lab.read_out.train`: the read-out network on features of rendered scenes.

Large objects do not drown small ones: the loss of a cell is divided by the root of the number of cells. Words about which people
differ are left out. The ground counts through a sample of its cells.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lab.read_out.feature_set import CELL
from molmo_point.model.read_out.read_out_network import VOTE_CELLS, ReadOutNetwork

_MOST_CELLS, _MOST_GROUND = 350, 250
_DROPPED, _NOISE = 0.2, 0.3
_SAVE_EVERY = 500
_KINDS = ("nouns", "categories", "colors")


@dataclass(frozen=True, eq=False)
class Targets:
    """Truth of one image.

    Attributes:
        cells: (rows, columns) index of the object, −1 for none.
        fits: For each kind of words (objects, words): 1 where a word fits.
        counts: The same: 0 where people differ.
        uv: (objects, 2) middles in pixels.
    """

    cells: Tensor
    fits: dict[str, Tensor]
    counts: dict[str, Tensor]
    uv: Tensor


class FeatureFolder:
    """One folder of `lab.read_out.feature_set`."""

    def __init__(self, folder: Path) -> None:
        self.objects: list[list[dict[str, Any]]] = json.loads((folder / "objects.json").read_text(encoding="utf-8"))
        self.features = np.load(folder / "features.npy", mmap_mode="r")
        self.cells = np.load(folder / "cells.npy", mmap_mode="r")


def words_of(folders: list[FeatureFolder]) -> dict[str, tuple[str, ...]]:
    """Return the words of all objects, sorted."""
    rows = [row for folder in folders for image in folder.objects for row in image]
    return {kind: tuple(sorted({word for row in rows for word in row[kind]})) for kind in _KINDS}


def targets_of(cells: np.ndarray, rows: list[dict[str, Any]], words: dict[str, tuple[str, ...]]) -> Targets:
    """Return the truth of one image as tensors."""
    fits = {kind: torch.zeros(len(rows) + 1, len(words[kind])) for kind in _KINDS}
    counts = {kind: torch.ones_like(value) for kind, value in fits.items()}
    for number, row in enumerate(rows):
        doubtful = {"nouns": row["doubtful"], "colors": row["maybe_colors"], "categories": ()}
        for kind in _KINDS:
            index = {word: k for k, word in enumerate(words[kind])}
            counts[kind][number, [index[word] for word in doubtful[kind] if word in index]] = 0
            mine = [index[word] for word in row[kind]]
            fits[kind][number, mine] = 1
            counts[kind][number, mine] = 1
    uv = torch.tensor([row["uv"] for row in rows] or [(0.0, 0.0)])
    return Targets(torch.from_numpy(cells.astype(np.int64)), fits, counts, uv)


def spoiled(normalized: Tensor) -> Tensor:
    """Drop whole features of each image, and add noise, so that no name hangs on a few features."""
    images, features = normalized.shape[:2]
    kept = (torch.rand(images, features, 1, 1) > _DROPPED) / (1 - _DROPPED)
    return normalized * kept + _NOISE * torch.randn(images, features, 1, 1)


def image_loss(network: ReadOutNetwork, hidden: Tensor, normalized: Tensor, targets: Targets) -> Tensor:
    """Return the loss of one image: presence, names at cells of objects and of the ground, and votes for the middle.

    Args:
        network: The network.
        hidden: (channels, rows, columns) values of the cells.
        normalized: (features, rows / 2, columns / 2) features of the patches.
        targets: Truth.
    """
    rows, columns = targets.cells.shape
    label = targets.cells.reshape(-1)
    flat = hidden.permute(1, 2, 0).reshape(rows * columns, -1)
    patches = normalized.permute(1, 2, 0).reshape(rows * columns // 4, -1)
    place = F.linear(flat, network.place.weight[..., 0, 0], network.place.bias)
    on, ground = torch.nonzero(label >= 0)[:, 0], torch.nonzero(label < 0)[:, 0]
    on, ground = on[torch.randperm(len(on))[:_MOST_CELLS]], ground[torch.randperm(len(ground))[:_MOST_GROUND]]
    both, ids = torch.cat([on, ground]), label[on]
    patch = (both // columns // 2) * (columns // 2) + both % columns // 2
    odds = {kind: _linear(flat[both], getattr(network, kind)) for kind in _KINDS}
    odds["nouns"] = odds["nouns"] + patches[patch] @ network.direct.weight[..., 0, 0].T
    total = 2 * F.binary_cross_entropy_with_logits(place[:, 0], (label >= 0).float())
    if len(ground):
        total = total + 0.5 * F.softplus(odds["nouns"][len(on) :]).sum(1).mean()
    if not len(on):
        return total
    weight = torch.bincount(ids)[ids].float().rsqrt()
    loss = torch.zeros(len(on))
    for kind, share in (("nouns", 1.0), ("categories", 0.5), ("colors", 0.5)):
        each = F.binary_cross_entropy_with_logits(odds[kind][: len(on)], targets.fits[kind][ids], reduction="none")
        loss = loss + share * (each * targets.counts[kind][ids]).sum(1)
    middles = torch.stack([on % columns, on // columns], 1) * CELL + (CELL - 1) / 2
    votes = (targets.uv[ids] - middles) / (VOTE_CELLS * CELL)
    loss = loss + F.smooth_l1_loss(place[on, 1:], votes, reduction="none", beta=0.2).sum(1)
    return total + (weight / weight.mean() * loss).mean()


def _linear(values: Tensor, layer: torch.nn.Conv2d) -> Tensor:
    return F.linear(values, layer.weight[..., 0, 0], layer.bias)


def fresh_network(folders: list[FeatureFolder], widths: tuple[int, int]) -> ReadOutNetwork:
    """Make a network for the words and features of folders; names begin as rare."""
    network = ReadOutNetwork(words_of(folders), widths)
    sample = np.concatenate(
        [folder.features[k, ::3, ::3].reshape(-1, 272) for folder in folders for k in range(0, len(folder.objects), 10)]
    ).astype(np.float32)
    network.mean.copy_(torch.from_numpy(sample.mean(0)))
    network.scale.copy_(torch.from_numpy(sample.std(0) + 1e-3))
    assert network.nouns.bias is not None
    torch.nn.init.constant_(network.nouns.bias, -5.0)
    torch.nn.init.zeros_(network.direct.weight)
    return network.to(memory_format=torch.channels_last)


def train(folders: list[FeatureFolder], run: Path, epochs: float, widths: tuple[int, int], batch: int, rate: float) -> None:
    """Train a network, write `log.jsonl` and, at its end, `network.pt` into a folder."""
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = fresh_network(folders, widths)
    places = [(folder, k) for folder in folders for k in range(len(folder.objects))]
    steps = max(int(epochs * len(places) / batch), 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    warm = max(steps // 10, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    order: list[int] = []
    start = time.perf_counter()
    with (run / "log.jsonl").open("w", encoding="utf-8") as log:
        for step in range(steps):
            order = order if len(order) >= batch else rng.permutation(len(places)).tolist()
            chosen = [places[order.pop()] for _ in range(batch)]
            values = torch.from_numpy(np.stack([folder.features[k] for folder, k in chosen]).astype(np.float32))
            normalized = spoiled(network.normalized(values.permute(0, 3, 1, 2)))
            hidden = F.dropout(network.cells(normalized), _DROPPED)
            truths = (targets_of(folder.cells[k], folder.objects[k], network.words) for folder, k in chosen)
            losses = [image_loss(network, *each) for each in zip(hidden, normalized, truths, strict=True)]
            loss = torch.stack(losses).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            if step % _SAVE_EVERY == _SAVE_EVERY - 1 or step == steps - 1:
                torch.save({"state": network.state_dict(), "words": network.words, "widths": widths}, run / "network.pt")
            print(
                json.dumps({"step": step, "of": steps, "loss": round(loss.item(), 4), "s": round(time.perf_counter() - start)}),
                file=log,
                flush=True,
            )


def main() -> None:
    """Run `python -m lab.read_out.train --features DIR [DIR ...] --out RUN`."""
    parser = argparse.ArgumentParser(description="Train the read-out network.")
    parser.add_argument("--features", type=Path, nargs="+", required=True, help="folders of lab.read_out.feature_set")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--epochs", type=float, default=6.0, help="passes over all images (6)")
    parser.add_argument("--widths", type=int, nargs=2, default=(128, 64), help="channels by patch and by cell (128 64)")
    parser.add_argument("--batch", type=int, default=12, help="images a step (12)")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate (0.002)")
    args = parser.parse_args()
    wide, narrow = args.widths
    train([FeatureFolder(folder) for folder in args.features], args.out, args.epochs, (wide, narrow), args.batch, args.rate)


if __name__ == "__main__":
    main()
