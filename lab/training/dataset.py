"""Shards of rendered scenes as augmented training images with their objects."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molmo_point.errors import InputError
from molmo_point.finetuning.queries import SeenObject

_MIN_PIXELS = 40  # of the render; an object smaller than this is not asked about
_MIN_SHARE = 0.45  # of the object's own pixels that must survive the crop


@dataclass(frozen=True)
class Sample:
    """One augmented view.

    Attributes:
        color: (h, w, 3) uint8, a crop of the render, flipped at random.
        mask: (h, w) int8, index into ``objects``, −1 for none.
        objects: All objects of the scene of which anything is seen are listed with their index;
            those that cannot be asked about have ``usable`` False.
    """

    color: np.ndarray
    mask: np.ndarray
    objects: list[SeenObject]


class SceneShards:
    """All complete shards of a folder; call `refresh` to see new ones.

    Raises:
        InputError: The folder holds no complete shard.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._images: list[np.ndarray] = []
        self._masks: list[np.ndarray] = []
        self._rows: list[list[list[dict[str, str]]]] = []
        self._names: set[str] = set()
        self.refresh()
        if not self._names:
            raise InputError(
                "There are no training scenes",
                str(folder),
                f"render some: python -m lab.training.scenes --out {folder}",
            )

    def refresh(self) -> None:
        """Opens shards that were completed since."""
        for path in sorted(self.folder.glob("*.json")):
            if path.stem in self._names:
                continue
            self._rows.append(json.loads(path.read_text(encoding="utf-8")))
            for store, kind in ((self._images, "images"), (self._masks, "masks")):
                store.append(np.load(self.folder / f"{path.stem}.{kind}.npy", mmap_mode="r"))
            self._names.add(path.stem)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows)

    def draw(self, rng: np.random.Generator, augment: bool = True) -> Sample:
        """A random view, cropped and flipped at random where ``augment``."""
        shard = int(rng.integers(len(self._rows)))
        return self.sample(shard, int(rng.integers(len(self._rows[shard]))), rng if augment else None)

    def sample(self, shard: int, index: int, rng: np.random.Generator | None) -> Sample:
        """View ``index`` of shard ``shard``; ``rng`` None leaves it as rendered."""
        color, mask = self._images[shard][index], self._masks[shard][index]
        rows = self._rows[shard][index]
        before = np.bincount(mask.ravel().astype(int) + 1, minlength=len(rows) + 1)[1:]
        if rng is not None:
            color, mask = _crop_and_flip(color, mask, rng)
        return Sample(np.array(color, order="C"), np.array(mask, order="C"), _seen(mask, rows, before))


def _crop_and_flip(color: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    height, width = mask.shape
    scale = rng.uniform(0.72, 1.0)
    h, w = round(height * scale), round(width * scale)
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    window = np.s_[top : top + h, left : left + w]
    color, mask = color[window], mask[window]
    return (color[:, ::-1], mask[:, ::-1]) if rng.random() < 0.5 else (color, mask)


def _seen(mask: np.ndarray, rows: list[dict[str, str]], before: np.ndarray) -> list[SeenObject]:
    height, width = mask.shape
    v, u = np.nonzero(mask >= 0)
    index = mask[v, u].astype(int)
    count = np.bincount(index, minlength=len(rows))
    safe = np.maximum(count, 1)
    x = (np.bincount(index, u + 0.5, len(rows)) / safe) / width * 100
    y = (np.bincount(index, v + 0.5, len(rows)) / safe) / height * 100
    objects = []
    for i, row in enumerate(rows):
        whole = count[i] >= max(_MIN_PIXELS, _MIN_SHARE * before[i])
        hidden = count[i] == 0
        # A thing that left the view entirely is simply not there: give it no name to match.
        color, shape = ("", "") if hidden else (row["color"], row["shape"])
        objects.append(SeenObject(color, shape, float(x[i]), float(y[i]), bool(whole or hidden)))
    return objects
