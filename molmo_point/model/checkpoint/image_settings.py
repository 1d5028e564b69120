"""Image settings of Molmo v1 in ``preprocessor_config.json``, with their bounds; needs no torch."""

from collections.abc import Mapping
from typing import Any

MOST_CROPS = 256
"""Largest ``max_crops`` that is accepted; the released models were used with up to 36."""
LARGEST_CROP_PX = 2048
MOST_IMAGE_BYTES = 2**30
MEANS, DEVIATIONS = (-10.0, 10.0), (1e-3, 1e3)


def image_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Read a parsed ``preprocessor_config.json``; ValueError names the field that is out of bounds.

    Returns:
        Side of a crop and of a patch in pixels, ``crop_px`` and ``patch_px``; ``margin_patches``, ``max_crops``; ``mean`` and
        ``std`` of red, green and blue.
    """
    crop = _pair(data, "base_image_input_size", 1, LARGEST_CROP_PX)
    margin = _pair(data, "overlap_margins", 0, LARGEST_CROP_PX)
    patch = whole(data, "image_patch_size", 1, LARGEST_CROP_PX)
    most = whole(data, "max_crops", 0, MOST_CROPS)
    if crop % (2 * patch):
        raise ValueError(f"base_image_input_size is {crop}, which is no even number of patches of image_patch_size = {patch}")
    if margin % 2 or 2 * margin * patch >= crop:
        raise ValueError(f"overlap_margins is {margin}, but must be even and leave some of the {crop // patch} patches")
    if (1 + most) * crop * crop * 12 > MOST_IMAGE_BYTES:
        raise ValueError(f"max_crops is {most}: one image of so many crops of {crop} pixels takes more than 1 GiB")
    for name in ("do_normalize", "image_padding_mask"):
        if data.get(name, True) is not True:
            raise ValueError(f"{name} is {data[name]!r}, but must be true, as in every released Molmo")
    mean, std = colors(data, "image_mean", *MEANS), colors(data, "image_std", *DEVIATIONS)
    return {"crop_px": crop, "patch_px": patch, "margin_patches": margin, "max_crops": most, "mean": mean, "std": std}


def whole(data: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """Read a whole number from ``low`` to ``high``; ValueError names it."""
    value = data.get(name)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} is {_shown(value)}, not a whole number from {low} to {high}")
    return value


def colors(data: Mapping[str, Any], name: str, low: float, high: float) -> tuple[float, float, float]:
    """Read three numbers for red, green and blue; ValueError names them."""
    value = data.get(name)
    if not isinstance(value, (list, tuple)) or len(value) != 3 or not all(_is_number(entry, low, high) for entry in value):
        raise ValueError(f"{name} is {_shown(value)}, not three numbers from {low:g} to {high:g}")
    return float(value[0]), float(value[1]), float(value[2])


def _pair(data: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """Read two equal whole numbers."""
    value = data.get(name)
    if not isinstance(value, (list, tuple)) or len(value) != 2 or value[0] != value[1]:
        raise ValueError(f"{name} is {_shown(value)}, not twice the same whole number")
    return whole({name: value[0]}, name, low, high)


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _shown(value: Any) -> str:
    return "missing" if value is None else repr(value)[:60]
