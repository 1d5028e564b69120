"""Drawn scenes of patterned squares on a noisy table, and libraries that were taught on them."""

from collections.abc import Mapping, Sequence

import numpy as np

from molmo_point.model.taught.library import Library
from molmo_point.model.taught.shown_view import ShownView

SIZE_WH = (320, 240)
Pattern = tuple[tuple[int, int, int], int]
RED, GREEN, BLUE, PINK = ((200, 30, 30), 5), ((30, 160, 40), 11), ((40, 40, 210), 19), ((230, 90, 200), 31)


def draw(objects: Mapping[str, Pattern], seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw objects from left to right; return the image and their masks."""
    rng = np.random.default_rng(seed)
    width, height = SIZE_WH
    image = np.clip(np.array((150, 130, 110)) + rng.integers(-8, 9, (height, width, 3)), 0, 255).astype(np.uint8)
    rows, columns = np.mgrid[:height, :width]
    masks = {}
    for k, (name, (color, stripe)) in enumerate(objects.items()):
        u, v = 50 + 100 * k + int(rng.integers(-15, 16)), int(rng.integers(50, height - 50))
        mask = (abs(columns - u) < 24) & (abs(rows - v) < 24)
        even = ((columns // stripe + rows // stripe) % 2 == 0)[..., None]
        image[mask] = np.where(even, np.array(color), 255 - np.array(color))[mask].astype(np.uint8)
        masks[name] = mask
    return image, masks


def views(name: str, pattern: Pattern, seeds: Sequence[int] = (1, 2)) -> list[ShownView]:
    """Show an object in company of another one."""
    drawn = (draw({"other": BLUE, name: pattern}, seed) for seed in seeds)
    return [ShownView(image, masks[name], origin=f"scene {seed}", stamp_ns=seed) for seed, (image, masks) in zip(seeds, drawn)]


def two_mugs() -> Library:
    """Teach two mugs that are easy to tell apart."""
    library = Library.empty().taught("my mug", views("my mug", RED), ["the red one of mine"], ["a mug"])
    return library.taught("spare mug", views("spare mug", GREEN), categories=["mug"])


def small_library() -> Library:
    """Teach one object by one view."""
    return Library.empty().taught("a pen", views("a pen", PINK, (5,)))
