"""Everyday names of colors, with a second name for doubtful ones."""

import colorsys

import numpy as np

PAINTS: dict[str, tuple[float, float, float]] = {
    "red": (0.80, 0.07, 0.07),
    "orange": (0.95, 0.45, 0.05),
    "yellow": (0.93, 0.80, 0.10),
    "green": (0.10, 0.52, 0.16),
    "blue": (0.08, 0.20, 0.76),
    "purple": (0.44, 0.12, 0.60),
    "pink": (0.95, 0.48, 0.66),
    "brown": (0.38, 0.21, 0.10),
    "white": (0.92, 0.92, 0.91),
    "grey": (0.48, 0.48, 0.49),
    "black": (0.06, 0.06, 0.07),
}
"""A typical shade of every color word, sRGB in [0, 1]."""

_HUES = (
    (0.0, "red"),
    (0.035, "orange"),
    (0.115, "yellow"),
    (0.185, "green"),
    (0.50, "blue"),
    (0.70, "purple"),
    (0.83, "pink"),
    (0.945, "red"),
)
"""Beginning of each word on the color circle, hue in [0, 1]."""
_DOUBT = {"green": 0.02, "blue": 0.045, "purple": 0.025, "pink": 0.03}
"""Hue distance from the beginning of a word within which its neighbor fits too; 0.012 for the others."""


def color_name(rgb: np.ndarray) -> tuple[str, str]:
    """Nearest color word and the next nearest, by hue, saturation and value.

    Args:
        rgb: Color (3,), sRGB in [0, 1].

    Returns:
        Two words; the same word twice without doubt.
    """
    hue, saturation, value = colorsys.rgb_to_hsv(*(float(v) for v in rgb))
    if value < 0.14:
        return "black", "black"
    if value < 0.24 and saturation < 0.5:
        return "black", "grey" if saturation < 0.25 else "brown"
    if saturation < 0.13:
        if value > 0.76:
            return "white", "white"
        if value > 0.64:
            return "grey", "white"
        return "grey", "black" if value < 0.32 else "grey"
    name, second = _by_hue(hue)
    if 0.02 < hue < 0.13 and (value < 0.58 or (saturation < 0.62 and value < 0.8)):
        return "brown", "grey" if saturation < 0.25 else ("orange" if value > 0.5 else "black" if value < 0.25 else "brown")
    if 0.02 < hue < 0.17 and saturation < 0.42 and value >= 0.8:
        return "brown", "white"
    if name == "red" and saturation < 0.55 and value > 0.75:
        return "pink", "pink"
    if saturation < 0.25:
        if value > 0.8:
            return "white", "brown" if 0.02 < hue < 0.17 else name
        return "grey", name
    return name, second


def _by_hue(hue: float) -> tuple[str, str]:
    index = max(k for k, (begin, _) in enumerate(_HUES) if begin <= hue)
    name = _HUES[index][1]
    for begin, word in _HUES[1:]:
        if abs(hue - begin) < _DOUBT.get(word, 0.012):
            before = _HUES[[b for b, _ in _HUES].index(begin) - 1][1]
            return (name, before) if name == word else (name, word)
    return name, name


def color_shares(colors: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Share of each color on a surface; half of a doubtful color counts for the second word.

    Args:
        colors: Colors (n, 3), sRGB in [0, 1].
        weights: Areas (n,).

    Returns:
        Mapping from word to share; the shares sum to 1.
    """
    shares: dict[str, float] = {}
    total = float(weights.sum())
    for rgb, weight in zip(colors, weights, strict=True):
        for word in color_name(rgb):
            shares[word] = shares.get(word, 0.0) + 0.5 * float(weight) / total
    return {word: round(share, 3) for word, share in sorted(shares.items(), key=lambda item: -item[1])}
