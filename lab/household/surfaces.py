"""Pictures for tables, floors and walls, made by formula: wood, stone, cloth, tiles and plain paint."""

import numpy as np

STYLES = ("plain", "wood", "planks", "marble", "granite", "cloth", "gingham", "tiles", "stripes", "gradient")
SURFACE_COUNT = 60
"""Surfaces there are; number k has style ``STYLES[k % len(STYLES)]``."""


def surface(number: int, size_px: int = 192) -> np.ndarray:
    """Picture ``number`` of `SURFACE_COUNT`, (size, size, 3) uint8; the same one every time."""
    rng = np.random.default_rng(7_000 + number)
    style = STYLES[number % len(STYLES)]
    first, second = _two_colors(rng, style)
    mix = np.clip(_mixture(style, rng, size_px), 0, 1)[..., None]
    fine = rng.normal(0, rng.uniform(0.004, 0.02), (size_px, size_px, 1))
    return np.round(np.clip(first * (1 - mix) + second * mix + fine, 0, 1) * 255).astype(np.uint8)


def smooth_noise(rng: np.random.Generator, size_px: int, cells: float, stretch: float = 1.0) -> np.ndarray:
    """Noise (size, size) about 0 with unit spread, ``cells`` blobs across, that tiles without a seam."""
    fy, fx = np.meshgrid(np.fft.fftfreq(size_px), np.fft.fftfreq(size_px), indexing="ij")
    radius = np.hypot(fy * stretch, fx) * size_px / cells
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(size_px, size_px))) * np.exp(-0.5 * radius**2)).real
    return noise / max(float(noise.std()), 1e-9)


def _two_colors(rng: np.random.Generator, style: str) -> tuple[np.ndarray, np.ndarray]:
    if style in ("wood", "planks"):
        base = np.array([0.55, 0.36, 0.20]) * rng.uniform(0.5, 1.5) + rng.normal(0, 0.03, 3)
        return np.clip(base, 0.04, 0.92), np.clip(base * rng.uniform(0.55, 0.85), 0.03, 0.9)
    if style in ("marble", "granite", "tiles"):
        base = rng.uniform(0.2, 0.9) + rng.normal(0, 0.05, 3)
        return np.clip(base, 0.05, 0.95), np.clip(base + rng.choice([-1, 1]) * rng.uniform(0.12, 0.35), 0.05, 0.95)
    base = rng.uniform(0.12, 0.92, 3)
    base = base.mean() + (base - base.mean()) * rng.uniform(0.1, 1.0)
    return base, np.clip(base * rng.uniform(0.5, 1.4) + rng.normal(0, 0.06, 3), 0.04, 0.96)


def _mixture(style: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return the share of the second color, (size, size)."""
    y, x = np.mgrid[:size, :size] / size
    cells = int(rng.integers(3, 9))
    if style == "plain":
        return 0.5 + 0.12 * smooth_noise(rng, size, 3)
    if style in ("wood", "planks"):
        grain = x * rng.integers(6, 16) + 0.25 * smooth_noise(rng, size, 4, 0.2)
        mix = 0.5 + 0.35 * np.sin(2 * np.pi * grain) + 0.15 * smooth_noise(rng, size, 40, 0.1)
        if style == "planks":
            boards = np.floor(x * cells)
            mix += 0.5 * rng.normal(size=cells + 1)[boards.astype(int)] + ((x * cells) % 1 < 0.04) * 1.5
        return mix
    if style == "marble":
        return 1 - np.minimum(np.abs(smooth_noise(rng, size, 5) + 0.4 * smooth_noise(rng, size, 20)) * 1.6, 1)
    if style == "granite":
        return 0.5 + 0.3 * smooth_noise(rng, size, size / 4) + 0.2 * smooth_noise(rng, size, size / 12)
    if style == "cloth":
        weave = 0.25 * (np.sin(2 * np.pi * x * size / 4) + np.sin(2 * np.pi * y * size / 4))
        return 0.5 + weave + 0.1 * smooth_noise(rng, size, 6)
    if style == "gingham":
        return 0.5 * ((x * cells * 2).astype(int) % 2 + (y * cells * 2).astype(int) % 2)
    if style == "tiles":
        joint = ((x * cells) % 1 < 0.05) | ((y * cells) % 1 < 0.05)
        return joint * 1.0 + 0.12 * smooth_noise(rng, size, 10) + 0.1
    if style == "stripes":
        return ((x * cells * 2).astype(int) % 2) * 1.0
    return np.clip(0.5 + (x - 0.5) * rng.uniform(-1, 1) + (y - 0.5) * rng.uniform(-1, 1), 0, 1)
