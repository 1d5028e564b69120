"""Episodes: objects, views by which each is taught on some tables, and scenes on other tables that ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from lab.household.arrangement import Arrangement, PlacedAsset
from lab.household.arranging import apart, random_arrangement
from lab.household.asset_pack import Asset
from lab.household.colors import PAINTS
from lab.household.stage import Stage
from lab.training.scenes import OVERSAMPLING, averaged

SIZE_WH = (640, 480)
MIN_PIXELS = 250


@dataclass(frozen=True, eq=False)
class TaughtScene:
    """One image.

    Attributes:
        color: (h, w, 3) uint8.
        masks: (h, w) int8, index into `keys`; −1 without an object.
        keys: Objects by number.
    """

    color: np.ndarray
    masks: np.ndarray
    keys: tuple[str, ...]

    def mask(self, key: str) -> np.ndarray:
        """Return the pixels of all instances of an object."""
        return np.isin(self.masks, [i for i, other in enumerate(self.keys) if other == key])


@dataclass(frozen=True, eq=False)
class Episode:
    """One library and its questions.

    Attributes:
        keys: Taught objects.
        views: For each taught object, the scenes that teach it, in order.
        queries: Scenes that ask.
    """

    keys: tuple[str, ...]
    views: dict[str, tuple[TaughtScene, ...]]
    queries: tuple[TaughtScene, ...]


def half_of(assets: Sequence[Asset], judging: bool) -> list[Asset]:
    """Return the objects that choose, or those that judge: a hash of the key decides."""
    return [asset for asset in assets if (sha256(f"teach {asset.key}".encode()).digest()[0] % 2 == 1) == judging]


def make_episode(
    stage: Stage, assets: Sequence[Asset], seed: int, taught: int = 20, views: int = 5, queries: int = 30
) -> Episode:
    """Render an episode; every scene holds 3 to 6 objects, and every second company is not taught."""
    rng = np.random.default_rng(seed)
    order = [assets[k] for k in rng.permutation(len(assets))]
    chosen, strangers = order[:taught], order[taught:]
    shown: dict[str, list[TaughtScene]] = {asset.key: [] for asset in chosen}
    while any(len(scenes) < views for scenes in shown.values()):
        wanting = [asset for asset in chosen if len(shown[asset.key]) < views]
        scene = _scene(stage, rng, _company(rng, wanting, [*chosen, *strangers], 3), False)
        for key in set(scene.keys) & set(shown):
            if len(shown[key]) < views and scene.mask(key).sum() >= MIN_PIXELS:
                shown[key].append(scene)
    asked = tuple(_scene(stage, rng, _company(rng, chosen, strangers or chosen, 3), True) for _ in range(queries))
    return Episode(tuple(shown), {key: tuple(scenes) for key, scenes in shown.items()}, asked)


def _company(rng: np.random.Generator, wanted: Sequence[Asset], others: Sequence[Asset], most: int) -> list[Asset]:
    first = [wanted[k] for k in rng.permutation(len(wanted))[: int(rng.integers(2, most + 1))]]
    rest = [asset for asset in others if all(asset is not other for other in first)]
    count = int(rng.integers(3, 7)) - len(first)
    return [*first, *(rest[k] for k in rng.permutation(len(rest))[: max(count, 1)])]


def _scene(stage: Stage, rng: np.random.Generator, assets: Sequence[Asset], asking: bool) -> TaughtScene:
    while True:
        objects = _placed(rng, assets)
        drawn = random_arrangement(rng, list(assets), asking, 1, SIZE_WH[0] / SIZE_WH[1])
        stage.show(_with_objects(rng, drawn, objects, asking))
        masks = stage.render_masks()[::OVERSAMPLING, ::OVERSAMPLING].astype(np.int8)
        if (masks == 0).sum() >= MIN_PIXELS:
            return TaughtScene(averaged(stage.render_color()), masks, tuple(item.asset.key for item in objects))


def _with_objects(rng: np.random.Generator, drawn: Arrangement, objects: tuple[PlacedAsset, ...], asking: bool) -> Arrangement:
    from dataclasses import replace

    from lab.household.arranging import arrangement_camera

    reach = max(float(np.hypot(*item.xy_m)) for item in objects)
    half = (reach + 0.15 + float(rng.uniform(0, 0.4)), reach + 0.15 + float(rng.uniform(0, 0.4)), 0.02)
    table = replace(drawn.table, half_m=half)
    return replace(drawn, objects=objects, table=table, camera=arrangement_camera(rng, objects, asking, SIZE_WH[0] / SIZE_WH[1]))


def _placed(rng: np.random.Generator, assets: Sequence[Asset]) -> tuple[PlacedAsset, ...]:
    placed: list[PlacedAsset] = []
    area = sum((asset.size_m[0] + 0.02) * (asset.size_m[1] + 0.02) for asset in assets)
    for asset in assets:
        paint, rgb = fixed_paint(asset)
        for attempt in range(60):
            reach = rng.uniform(0.8, 1.5) * np.sqrt(area) * (0.55 + 0.02 * attempt)
            radius, angle = reach * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
            xy = (float(radius * np.cos(angle)), float(radius * np.sin(angle)))
            item = PlacedAsset(asset, 1, xy, float(rng.uniform(0, 2 * np.pi)), paint, rgb)
            if all(apart(item, other) for other in placed):
                placed.append(item)
                break
    return tuple(placed)


def fixed_paint(asset: Asset) -> tuple[str | None, tuple[float, float, float]]:
    """Return the paint of an object that comes in any color: always the same one."""
    if not asset.paintable:
        return None, (0.5, 0.5, 0.5)
    name = sorted(PAINTS)[sha256(asset.key.encode()).digest()[1] % len(PAINTS)]
    r, g, b = PAINTS[name]
    return name, (float(r), float(g), float(b))


def open_stage(assets: Sequence[Asset]) -> Stage:
    """Open a stage for episodes of these objects."""
    return Stage(list(assets), SIZE_WH[0] * OVERSAMPLING, SIZE_WH[1] * OVERSAMPLING)
