"""Shards of rendered scenes as augmented pictures with their objects.

A folder of household scenes holds ``things.json`` (the words for every object); a folder of plain shapes does not.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lab.household.scene_set import THINGS
from lab.training.referring import SeenObject
from molmo_point.arrays import ColorArray
from molmo_point.errors import InputError
from molmo_point.sim.tabletop.objects import SHAPES

_MIN_PIXELS = 40  # of the stored picture; a smaller object is not asked about
_MIN_SURVIVING = 0.45  # of an object's pixels that must survive the crop
_MIN_SHOWN = 0.2  # of its convex outline that must be seen
_PLAIN_ASPECTS = (4 / 3,)
_ASPECTS = (4 / 3, 4 / 3, 4 / 3, 16 / 9, 1.0)
_ALSO = {"fruit": ("food",), "vegetables": ("food",)}
"""Categories that lie within others."""
_NOWHERE = {"depth_m": 0.0, "position_m": (0.0, 0.0, 0.0), "size_m": (0.1, 0.1, 0.1), "edge_m": 0.0}
"""Unknown places and sizes of plain shapes, equal for all, so that no question depends on them."""


@dataclass(frozen=True)
class SceneSample:
    """One augmented view.

    Attributes:
        color: (h, w, 3) RGB, a crop of the render, mirrored at random.
        mask: (h, w) int8, index into ``objects``, −1 for none.
        objects: All objects of the scene, in the order of the mask's indices.
    """

    color: ColorArray
    mask: np.ndarray
    objects: list[SeenObject]


class SceneShards:
    """All complete shards of a folder; `refresh` opens new ones.

    Args:
        folder: Output of `lab.household.scene_set` or of `lab.training.scenes`.
        select: Chooses the shards to open by name; None opens all.

    Attributes:
        plain: True for plain shapes, False for household scenes.
        words: Words for every object's key; see `lab.household.truth.thing_words`.

    Raises:
        InputError: The folder holds no complete shard.
    """

    def __init__(self, folder: Path, select: Callable[[str], bool] | None = None) -> None:
        self.folder, self._select = folder, select
        self.plain = is_plain(folder)
        self.words: dict[str, dict[str, Any]] = {shape: _plain_words(shape) for shape in SHAPES} if self.plain else {}
        self._images: list[np.ndarray] = []
        self._masks: list[np.ndarray] = []
        self._rows: list[list[list[dict[str, Any]]]] = []
        self._names: set[str] = set()
        self.refresh()
        if not self._names:
            fix = f"render some: python -m lab.household.scene_set --out {folder}, or lab.training.scenes for plain shapes"
            raise InputError("The folder of scenes must hold complete shards", str(folder), fix)

    def refresh(self) -> None:
        """Open shards that were completed since."""
        if not self.plain:
            self.words = json.loads((self.folder / THINGS).read_text(encoding="utf-8"))
        for path in sorted(self.folder.glob("*.json")):
            if path.name == THINGS or path.stem in self._names or (self._select and not self._select(path.stem)):
                continue
            views = json.loads(path.read_text(encoding="utf-8"))
            self._rows.append([list(map(_plain_row, view)) for view in views] if self.plain else [v["objects"] for v in views])
            for store, kind in ((self._images, "images"), (self._masks, "masks")):
                store.append(np.load(self.folder / f"{path.stem}.{kind}.npy", mmap_mode="r"))
            self._names.add(path.stem)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows)

    def nouns(self) -> list[str]:
        """Return every noun of the objects that training shows, sorted."""
        return sorted({noun for row in self.words.values() if not row["held_out"] for noun in row["nouns"]})

    def draw(self, rng: np.random.Generator, augment: bool = True) -> SceneSample:
        """Draw a random view, cropped and mirrored at random if ``augment``."""
        index = int(rng.integers(len(self)))
        return self.sample(index, rng if augment else None)

    def sample(self, index: int, rng: np.random.Generator | None) -> SceneSample:
        """Return view ``index`` of all, cropped and mirrored at random; as rendered if ``rng`` is None."""
        shard = 0
        while index >= len(self._rows[shard]):
            index -= len(self._rows[shard])
            shard += 1
        color, mask = self._images[shard][index], self._masks[shard][index]
        rows = self._rows[shard][index]
        before = np.bincount(mask.ravel().astype(int) + 1, minlength=len(rows) + 1)[1:]
        if rng is not None:
            color, mask = _crop_and_mirror(color, mask, rng, _PLAIN_ASPECTS if self.plain else _ASPECTS)
        objects = [_object(mask, k, row, self.words[row["key"]], int(before[k])) for k, row in enumerate(rows)]
        return SceneSample(np.array(color, order="C"), np.array(mask, order="C"), objects)


def is_plain(folder: Path) -> bool:
    """Return True for a folder of plain shapes, False for household scenes."""
    return not (folder / THINGS).exists()


def seen_objects(masks: np.ndarray, truth: dict[str, Any], words: dict[str, dict[str, Any]]) -> list[SeenObject]:
    """Describe the objects of a rendered mask (h, w), for pictures that come from no shard.

    Args:
        masks: Instance mask.
        truth: `lab.household.truth.scene_truth` of the view.
        words: `lab.household.truth.thing_words` of every key.
    """
    rows = truth["objects"]
    counts = np.bincount(masks.ravel().astype(int) + 1, minlength=len(rows) + 1)[1:]
    return [_object(masks, k, row, words[row["key"]], int(counts[k])) for k, row in enumerate(rows)]


def plain_object(color: str, shape: str, x_percent: float, y_percent: float) -> SeenObject:
    """Return a plain shape at a place, percent of the picture, without a picture of it."""
    mask = np.full((100, 100), -1, np.int8)
    mask[min(int(y_percent), 99), min(int(x_percent), 99)] = 0
    seen = _object(mask, 0, _plain_row({"color": color, "shape": shape}), _plain_words(shape), 1)
    return replace(seen, x_percent=x_percent, y_percent=y_percent, usable=True)


def _plain_words(shape: str) -> dict[str, Any]:
    return {"noun": shape, "nouns": [shape], "doubtful": [], "category": "shapes", "held_out": False}


def _plain_row(row: dict[str, str]) -> dict[str, Any]:
    """Complete the row of a plain shape to that of a household object."""
    colors = [row["color"]]
    return {"key": row["shape"], "colors": colors, "maybe_colors": colors, "pixels": 1, "hull_pixels": 1} | _NOWHERE


def _crop_and_mirror(
    color: np.ndarray, mask: np.ndarray, rng: np.random.Generator, aspects: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    height, width = mask.shape
    aspect = aspects[int(rng.integers(len(aspects)))]
    scale = rng.uniform(0.72, 1.0)
    w, h = round(min(width, height * aspect) * scale), round(min(height, width / aspect) * scale)
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    window = np.s_[top : top + h, left : left + w]
    color, mask = color[window], mask[window]
    return (color[:, ::-1], mask[:, ::-1]) if rng.random() < 0.5 else (color, mask)


def _object(mask: np.ndarray, index: int, row: dict[str, Any], words: dict[str, Any], before: int) -> SeenObject:
    height, width = mask.shape
    v, u = np.nonzero(mask == index)
    count, x, y, left, right = len(u), 0.0, 0.0, 0.0, 0.0
    if count:
        nearest = int(np.argmin((u - u.mean()) ** 2 + (v - v.mean()) ** 2))
        # The middle of a ring or of scissors shows the table: point at the object itself.
        x, y = u.mean(), v.mean()
        if mask[round(float(y)), round(float(x))] != index:
            x, y = u[nearest], v[nearest]
        x, y = (float(x) + 0.5) / width * 100, (float(y) + 0.5) / height * 100
        left, right = float(u.min()) / width * 100, float(u.max() + 1) / width * 100
    shown = row["pixels"] >= _MIN_SHOWN * row["hull_pixels"]
    category = words["category"]
    return SeenObject(
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
