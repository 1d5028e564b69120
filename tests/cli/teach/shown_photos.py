"""Drawn photographs of patterned objects on a noisy table, with masks, as a person would lay them into folders."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE_WH = (320, 96)
"""Wide and low, so that their features take little time."""
RED, GREEN, BLUE = (200, 30, 30), (30, 160, 40), (40, 40, 210)


def photo(color: tuple[int, int, int], seed: int, others: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw an object of stripes in a color at a random place, and others of gray; return the picture and the mask."""
    rng = np.random.default_rng(seed)
    width, height = SIZE_WH
    table = np.array((150, 130, 110)) + int(rng.integers(-25, 26))
    image = np.clip(table + rng.integers(-6, 7, (height, width, 3)), 0, 255).astype(np.uint8)
    rows, columns = np.mgrid[:height, :width]
    side, angle = int(rng.integers(20, 32)), rng.uniform(0, np.pi)
    u, v = int(rng.integers(60, 110)), height // 2 + int(rng.integers(-4, 5))
    along = (columns - u) * np.cos(angle) + (rows - v) * np.sin(angle)
    across = (rows - v) * np.cos(angle) - (columns - u) * np.sin(angle)
    mask = (abs(along) < side) & (abs(across) < 0.8 * side)
    image[mask] = np.where((along // 6 % 2 == 0)[..., None], np.array(color), 255 - np.array(color))[mask]
    for k in range(others):
        other = np.hypot(columns - 200 - 70 * k, rows - height // 2) < 26
        image[other] = (40 + 30 * k, 30, 20)
    return image, mask


def save_photos(folder: Path, color: tuple[int, int, int], seeds: range, others: int = 0) -> Path:
    """Write photographs and, in a folder next to them, their masks; return the folder of the photographs."""
    masks = folder.with_name(f"{folder.name}_masks")
    folder.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        image, mask = photo(color, seed, others)
        Image.fromarray(image).save(folder / f"IMG_{seed}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(masks / f"IMG_{seed}.png")
    return folder


def middle_of(color: tuple[int, int, int], seed: int) -> tuple[int, int]:
    """Return the pixel in the middle of the object of `photo`."""
    v, u = np.nonzero(photo(color, seed)[1])
    return round(float(u.mean())), round(float(v.mean()))
