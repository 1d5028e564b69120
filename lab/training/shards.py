"""Shards of rendered household scenes as augmented pictures with all that is known of the things in them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.household.scene_set import THINGS
from lab.training.referring import SeenThing
from molmo_point.errors import InputError

_MIN_PIXELS = 40  # of the stored picture; a smaller thing is not asked about
_MIN_SURVIVING = 0.45  # of a thing's pixels that must survive the crop
_MIN_SHOWN = 0.2  # of its convex outline that must be seen
_ASPECTS = (4 / 3, 4 / 3, 4 / 3, 16 / 9, 1.0)
_ALSO = {"fruit": ("food",), "vegetables": ("food",)}
"""Categories that lie within others."""


@dataclass(frozen=True)
class Sample:
    """One augmented view.

    Attributes:
        color: (h, w, 3) uint8, a crop of the render, mirrored at random.
        mask: (h, w) int8, index into ``things``, −1 for none.
        things: All things of the scene, in the order of the mask's indices.
    """

    color: np.ndarray
    mask: np.ndarray
    things: list[SeenThing]


class HouseholdScenes:
    """All complete shards of a folder; call `refresh` to see new ones.

    Args:
        folder: Where `lab.household.scene_set` wrote.
        select: Which shards to open, by name; None opens all.

    Attributes:
        words: For every object's key what it may be called; see `lab.household.truth.thing_words`.

    Raises:
        InputError: The folder holds no complete shard.
    """

    def __init__(self, folder: Path, select: Callable[[str], bool] | None = None) -> None:
        self.folder, self._select = folder, select
        self._images: list[np.ndarray] = []
        self._masks: list[np.ndarray] = []
        self._rows: list[list[dict[str, Any]]] = []
        self._names: set[str] = set()
        self.words: dict[str, dict[str, Any]] = {}
        self.refresh()
        if not self._names:
            fix = f"render some: python -m lab.household.scene_set --out {folder}"
            raise InputError("There are no household scenes", str(folder), fix)

    def refresh(self) -> None:
        """Opens shards that were completed since."""
        if (self.folder / THINGS).exists():
            self.words = json.loads((self.folder / THINGS).read_text(encoding="utf-8"))
        for path in sorted(self.folder.glob("*.json")):
            if path.name == THINGS or path.stem in self._names or (self._select and not self._select(path.stem)):
                continue
            self._rows.append(json.loads(path.read_text(encoding="utf-8")))
            for store, kind in ((self._images, "images"), (self._masks, "masks")):
                store.append(np.load(self.folder / f"{path.stem}.{kind}.npy", mmap_mode="r"))
            self._names.add(path.stem)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows)

    def nouns(self, held_out: bool = False) -> list[str]:
        """Every noun of the objects that training shows, or of the others too, sorted."""
        rows = [row for row in self.words.values() if held_out or not row["held_out"]]
        return sorted({noun for row in rows for noun in row["nouns"]})

    def draw(self, rng: np.random.Generator, augment: bool = True) -> Sample:
        """A random view, cropped and mirrored at random where ``augment``."""
        index = int(rng.integers(len(self)))
        return self.sample(index, rng if augment else None)

    def sample(self, index: int, rng: np.random.Generator | None) -> Sample:
        """View ``index`` of all; ``rng`` None leaves it as rendered."""
        shard = 0
        while index >= len(self._rows[shard]):
            index -= len(self._rows[shard])
            shard += 1
        color, mask = self._images[shard][index], self._masks[shard][index]
        rows = self._rows[shard][index]["objects"]
        before = np.bincount(mask.ravel().astype(int) + 1, minlength=len(rows) + 1)[1:]
        if rng is not None:
            color, mask = _crop_and_mirror(color, mask, rng)
        things = [_thing(mask, k, row, self.words[row["key"]], int(before[k])) for k, row in enumerate(rows)]
        return Sample(np.array(color, order="C"), np.array(mask, order="C"), things)


def seen_things(masks: np.ndarray, truth: dict[str, Any], words: dict[str, dict[str, Any]]) -> list[SeenThing]:
    """What a rendered mask (h, w) shows, for pictures that come from no shard.

    Args:
        masks: Instance mask.
        truth: `lab.household.truth.scene_truth` of the view.
        words: For every key its `lab.household.truth.thing_words`.
    """
    rows = truth["objects"]
    counts = np.bincount(masks.ravel().astype(int) + 1, minlength=len(rows) + 1)[1:]
    return [_thing(masks, k, row, words[row["key"]], int(counts[k])) for k, row in enumerate(rows)]


def _crop_and_mirror(color: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    height, width = mask.shape
    aspect = _ASPECTS[int(rng.integers(len(_ASPECTS)))]
    scale = rng.uniform(0.72, 1.0)
    w, h = round(min(width, height * aspect) * scale), round(min(height, width / aspect) * scale)
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    window = np.s_[top : top + h, left : left + w]
    color, mask = color[window], mask[window]
    return (color[:, ::-1], mask[:, ::-1]) if rng.random() < 0.5 else (color, mask)


def _thing(mask: np.ndarray, index: int, row: dict[str, Any], words: dict[str, Any], before: int) -> SeenThing:
    height, width = mask.shape
    v, u = np.nonzero(mask == index)
    count, x, y, left, right = len(u), 0.0, 0.0, 0.0, 0.0
    if count:
        nearest = int(np.argmin((u - u.mean()) ** 2 + (v - v.mean()) ** 2))
        # The middle of a ring or of scissors shows the table: point at the thing itself.
        x, y = u.mean(), v.mean()
        if mask[round(float(y)), round(float(x))] != index:
            x, y = u[nearest], v[nearest]
        x, y = (float(x) + 0.5) / width * 100, (float(y) + 0.5) / height * 100
        left, right = float(u.min()) / width * 100, float(u.max() + 1) / width * 100
    shown = row["pixels"] >= _MIN_SHOWN * row["hull_pixels"]
    category = words["category"]
    return SeenThing(
        noun=words["noun"],
        nouns=frozenset(words["nouns"]),
        doubtful=frozenset(words["doubtful"]),
        category=category,
        categories=frozenset((category, *_ALSO.get(category, ()))),
        colors=frozenset(row["colors"]),
        maybe_colors=frozenset(row["maybe_colors"]),
        x_percent=x,
        y_percent=y,
        left_percent=left,
        right_percent=right,
        depth_m=row["depth_m"],
        position_m=tuple(row["position_m"]),
        size_m=tuple(row["size_m"]),
        edge_m=row["edge_m"],
        seen=count > 0,
        usable=bool(shown and count >= max(_MIN_PIXELS, _MIN_SURVIVING * before)),
        held_out=words["held_out"],
    )
