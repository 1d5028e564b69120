"""Degradations of a picture: faults of cameras, lenses, light and transmission, at three strengths."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from molmo_point.evaluation.labeled_view import LabeledView

STRENGTHS = (1, 2, 3)
"""Strengths: weak, medium, strong; objects are visible to people at every one."""

Pixels = NDArray[np.float64]
"""Picture (h, w, 3), values 0 to 255."""
_Change = Callable[[Pixels, int, np.random.Generator], Pixels]


def degraded(view: LabeledView, name: str, strength: int, rng: np.random.Generator) -> LabeledView:
    """Degrade a picture; the truth moves along.

    Args:
        view: The picture.
        name: One of `DEGRADATIONS`.
        strength: One of `STRENGTHS`.
        rng: Source of all randomness.
    """
    if name in _MOVES:
        rows, columns = _MOVES[name](*np.indices(view.instances.shape), strength)
        inside = (rows >= 0) & (rows < view.instances.shape[0]) & (columns >= 0) & (columns < view.instances.shape[1])
        rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
        color = np.where(inside[..., None], view.color[rows, columns], np.uint8(0))
        return replace(view, color=color, instances=np.where(inside, view.instances[rows, columns], np.int16(-1)))
    changed = _CHANGES[name](view.color.astype(float), strength, rng)
    return replace(view, color=np.clip(np.round(changed), 0, 255).astype(np.uint8))


def _picked(strength: int, *values: float) -> float:
    return values[strength - 1]


def _motion_blur(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    length, angle = int(_picked(strength, 11, 23, 41)), rng.uniform(0, np.pi)
    steps = np.linspace(-length / 2, length / 2, length)
    total = np.zeros_like(color)
    for step in steps:
        total += _shifted(color, round(step * np.sin(angle)), round(step * np.cos(angle)))
    return total / length


def _shifted(color: Pixels, down: int, right: int) -> Pixels:
    rows = np.clip(np.arange(color.shape[0]) - down, 0, color.shape[0] - 1)
    columns = np.clip(np.arange(color.shape[1]) - right, 0, color.shape[1] - 1)
    return color[rows][:, columns]


def _defocus(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    return _filtered(color, ImageFilter.GaussianBlur(_picked(strength, 2, 4, 7)))


def _filtered(color: Pixels, kernel: ImageFilter.Filter) -> Pixels:
    return np.asarray(Image.fromarray(color.astype(np.uint8)).filter(kernel), float)


def _jpeg(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    data = io.BytesIO()
    Image.fromarray(color.astype(np.uint8)).save(data, "JPEG", quality=int(_picked(strength, 20, 10, 5)))
    return np.asarray(Image.open(data), float)


def _noise(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    return color + rng.normal(0, _picked(strength, 15, 30, 50), color.shape)


def _salt_and_pepper(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    share = _picked(strength, 0.01, 0.04, 0.12)
    draw = rng.random(color.shape[:2])[..., None]
    return np.where(draw < share / 2, 0.0, np.where(draw > 1 - share / 2, 255.0, color))


def _swapped_channels(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    return color[..., [(2, 1, 0), (1, 0, 2), (1, 2, 0)][strength - 1]]


def _over_exposed(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    return color * _picked(strength, 1.6, 2.2, 3.0)


def _low_light(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    return color * _picked(strength, 0.4, 0.22, 0.12) + rng.normal(0, 2, color.shape)


def _gray_scale(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    gray = (color @ [0.299, 0.587, 0.114])[..., None]
    return color + _picked(strength, 0.6, 0.85, 1.0) * (gray - color)


def _fog(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    share = _picked(strength, 0.4, 0.6, 0.8)
    return (1 - share) * color + share * rng.uniform(190, 240)


def _low_contrast(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    return color.mean() + _picked(strength, 0.5, 0.3, 0.15) * (color - color.mean())


def _lens_dirt(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    height, width = color.shape[:2]
    rows, columns = np.indices((height, width))
    cover = np.zeros((height, width))
    for _ in range(int(_picked(strength, 4, 9, 18))):
        v, u, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(12, 45)
        cover = np.maximum(cover, np.clip(1.6 - np.hypot(rows - v, columns - u) / radius, 0, 0.8))
    return color * (1 - cover[..., None]) + cover[..., None] * rng.uniform(20, 120)


def _color_cast(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    gains = np.ones(3)
    gains[int(rng.integers(3))] = 1 / _picked(strength, 1.4, 1.9, 2.6)
    return color * gains * rng.choice([1.0, 1.15])


def _down_sampling(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    height, width = color.shape[:2]
    small = Image.fromarray(color.astype(np.uint8)).resize([int(s / _picked(strength, 4, 8, 12)) for s in (width, height)])
    return np.asarray(small.resize((width, height), Image.Resampling.NEAREST), float)


def _banding(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    rows = np.arange(color.shape[0])[:, None, None]
    wave = np.sin(2 * np.pi * rows / rng.uniform(18, 60) + rng.uniform(0, 6.3))
    return color * (1 + _picked(strength, 0.2, 0.4, 0.65) * wave)


def _few_levels(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    step = _picked(strength, 32, 64, 96)
    return np.floor(color / step) * step + step / 2


def _vignette(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    height, width = color.shape[:2]
    rows, columns = np.indices((height, width))
    far = np.hypot((rows - height / 2) / height, (columns - width / 2) / width)[..., None]
    return color * np.clip(1 - _picked(strength, 0.8, 1.2, 1.6) * far, 0.1, 1)


def _lost_rows(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    changed = color.copy()
    for _ in range(int(_picked(strength, 3, 8, 16))):
        top, tall = int(rng.integers(color.shape[0])), int(rng.integers(3, 14))
        changed[top : top + tall] = rng.choice([0.0, 128.0, 255.0])
    return changed


def _inverted(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    share = _picked(strength, 0.8, 0.9, 1.0)
    return (1 - share) * color + share * (255 - color)


def _sharpened(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    del rng
    return color + _picked(strength, 2, 4, 8) * (color - _filtered(color, ImageFilter.GaussianBlur(2)))


def _gamma(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    return 255 * (color / 255) ** (_picked(strength, 1.5, 2.0, 2.8) ** rng.choice([-1, 1]))


def _glare(color: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    height, width = color.shape[:2]
    rows, columns = np.indices((height, width))
    away = np.hypot(rows - rng.uniform(0, height), columns - rng.uniform(0, width))
    return color + 200 * np.exp(-((away / _picked(strength, 90, 130, 180)) ** 2))[..., None]


_CHANGES: dict[str, _Change] = {
    "motion blur": _motion_blur,
    "defocus": _defocus,
    "JPEG": _jpeg,
    "down-sampling": _down_sampling,
    "noise": _noise,
    "salt and pepper": _salt_and_pepper,
    "swapped channels": _swapped_channels,
    "inverted": _inverted,
    "over-exposed": _over_exposed,
    "glare": _glare,
    "low light": _low_light,
    "vignette": _vignette,
    "gray-scale": _gray_scale,
    "color cast": _color_cast,
    "fog": _fog,
    "low contrast": _low_contrast,
    "lens dirt": _lens_dirt,
    "lost rows": _lost_rows,
    "banding": _banding,
    "few levels": _few_levels,
    "gamma": _gamma,
    "sharpened": _sharpened,
}

Indices = NDArray[np.int64]


def _upside_down(rows: Indices, columns: Indices, strength: int) -> tuple[Indices, Indices]:
    del strength
    return rows[::-1, ::-1], columns[::-1, ::-1]


def _mirrored(rows: Indices, columns: Indices, strength: int) -> tuple[Indices, Indices]:
    del strength
    return rows[:, ::-1], columns[:, ::-1]


def _quarter_turn(rows: Indices, columns: Indices, strength: int) -> tuple[Indices, Indices]:
    turns = 1 if strength == 2 else 3
    return np.rot90(rows, turns), np.rot90(columns, turns)


def _zoomed(rows: Indices, columns: Indices, strength: int) -> tuple[Indices, Indices]:
    zoom = _picked(strength, 1.4, 1.9, 2.5)
    return _rounded((rows - rows.mean()) / zoom + rows.mean()), _rounded((columns - columns.mean()) / zoom + columns.mean())


def _squeezed(rows: Indices, columns: Indices, strength: int) -> tuple[Indices, Indices]:
    width = round(rows.shape[1] / _picked(strength, 1.2, 1.33, 1.6))
    kept = np.linspace(0, rows.shape[1] - 1, width).round().astype(int)
    return rows[:, kept], columns[:, kept]


def _tilted(rows: Indices, columns: Indices, strength: int) -> tuple[Indices, Indices]:
    angle = np.deg2rad(_picked(strength, 15, 30, 45))
    v, u = rows - rows.mean(), columns - columns.mean()
    turned = (v * np.cos(angle) + u * np.sin(angle), u * np.cos(angle) - v * np.sin(angle))
    return _rounded(turned[0] + rows.mean()), _rounded(turned[1] + columns.mean())


def _rounded(places: Pixels) -> Indices:
    return places.round().astype(np.int64)


_MOVES: dict[str, Callable[[Indices, Indices, int], tuple[Indices, Indices]]] = {
    "upside down": _upside_down,
    "quarter turn": _quarter_turn,
    "mirrored": _mirrored,
    "tilted": _tilted,
    "zoomed": _zoomed,
    "squeezed": _squeezed,
}
DEGRADATIONS: tuple[str, ...] = (*_CHANGES, *_MOVES)
"""Names of the degradations; every second one develops, the others judge."""
