"""Values as JSON that every reader accepts: NaN and infinity become null."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np


def plain_json(value: Any) -> Any:
    """Convert a value and all its parts to plain JSON.

    Args:
        value: Dictionaries, sequences, arrays, enums, dataclasses and numbers, nested as needed.

    Returns:
        The same in dictionaries, lists and Python numbers; None for NaN and infinity.
    """
    if isinstance(value, Enum):
        return plain_json(value.value)
    if isinstance(value, Mapping):
        return {str(plain_json(name)): plain_json(part) for name, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain_json(value.tolist())
    if isinstance(value, list | tuple):
        return [plain_json(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_json(getattr(value, field.name)) for field in fields(value)}
    return None if isinstance(value, float) and not math.isfinite(value) else value
