"""Conversion of figures to values that JSON knows."""

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np


def plain_json(value: Any) -> Any:
    """Convert a value and all its parts to plain JSON.

    Args:
        value: Dictionaries, sequences, arrays, enums and numbers, nested as needed.

    Returns:
        The same in dictionaries, lists and Python numbers; None for NaN and infinity.
    """
    if isinstance(value, Mapping):
        return {str(name): plain_json(part) for name, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain_json(value.tolist())
    if isinstance(value, list | tuple):
        return [plain_json(part) for part in value]
    if isinstance(value, Enum):
        return plain_json(value.value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
