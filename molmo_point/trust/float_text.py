"""Arrays of numbers as text in JSON files: float16, base64."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray

_MOST_NUMBERS = 4_000_000


def to_text(values: FloatArray) -> dict[str, Any]:
    """Return the JSON-able form of an array, rounded to float16; ValueError for values beyond its range."""
    half = np.asarray(values).astype("<f2")
    if not np.all(np.isfinite(half)):
        raise ValueError("numbers must be finite and within the range of float16")
    return {"shape": list(half.shape), "float16": base64.b64encode(half.tobytes()).decode()}


def from_text(held: Mapping[str, Any]) -> FloatArray:
    """Read the form of `to_text` as float32; ValueError, KeyError or TypeError if it is another."""
    shape = tuple(int(side) for side in held["shape"])
    if any(side < 0 for side in shape) or np.prod(shape, dtype=float) > _MOST_NUMBERS:
        raise ValueError(f"an array has the shape {shape}")
    values = np.frombuffer(base64.b64decode(held["float16"], validate=True), "<f2").astype(np.float32).reshape(shape)
    if not np.all(np.isfinite(values)):
        raise ValueError("an array has numbers that are not finite")
    return values
