"""Poses of a sample file: a 4x4 matrix, or a translation with one form of rotation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.calibration.rotation_forms import FORMS, is_form, rotations_of
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import motion
from molmo_point.geometry.transforms import Transform

_ABSURD = 1e9


def read_pose(values: Any, name: str, path: Path) -> FloatArray:
    """Read a pose (4, 4) from its YAML.

    Args:
        values: Mapping of the pose.
        name: Id of the sample, for messages.
        path: Path of the file, for messages.

    Raises:
        InputError: If the mapping is not a pose.
    """
    where = f"{path}, sample {name}"
    if not isinstance(values, Mapping):
        raise InputError("A pose must be a mapping", f"{where}: {values!r}", "give translation_m and a rotation, or matrix")
    try:
        if set(values) == {"matrix"}:
            return Transform.from_matrix("a", "b", _numbers(values["matrix"], (4, 4))).matrix
        form, numbers, shift = parts_of(values)
        return motion(rotations_of(form, numbers), shift)
    except InputError as error:
        raise InputError(error.what, f"{where}: {error.given}", error.fix) from error


def parts_of(values: Mapping[str, Any]) -> tuple[str, FloatArray, FloatArray]:
    """Return the form of the rotation, its numbers, and the translation of a pose that is not a matrix."""
    forms = [form for form in values if isinstance(form, str) and is_form(form)]
    if len(forms) != 1 or set(values) != {"translation_m", forms[0]}:
        fix = f"give matrix alone, or one of {', '.join(FORMS)}, euler_ZYX_deg (any axes; capitals for moving axes)"
        raise InputError("A pose must have translation_m and one rotation", f"{sorted(map(str, values))}", fix)
    numbers = _numbers(values[forms[0]], (4,) if forms[0].startswith("quat") else (3,))
    return forms[0], numbers, _numbers(values["translation_m"], (3,))


def _numbers(values: Any, shape: tuple[int, ...]) -> FloatArray:
    """Convert nested lists of numbers to an array; texts, truth values and missing values are not numbers.

    Raises:
        InputError: If the lists have another shape, or hold anything but finite numbers.
    """
    flat = values if len(shape) == 1 else [part for row in values for part in row] if _is_table(values) else None
    if not isinstance(flat, list) or any(isinstance(part, bool) or not isinstance(part, int | float) for part in flat):
        raise InputError("A pose must hold lists of numbers", _short(values), "check the lists")
    if len(flat) != int(np.prod(shape)):
        words = "3 numbers of translation, and 3 or 4 of rotation" if len(shape) == 1 else "4 rows of 4 numbers"
        raise InputError(f"A pose must have {words}", _short(values), "check the lists")
    try:
        array = np.reshape(np.array(flat, np.float64), shape)
    except OverflowError as error:
        raise InputError("A pose must hold finite numbers", _short(values), "check the lists") from error
    if not np.abs(array).max() < _ABSURD:
        raise InputError(
            "A pose must hold finite numbers, of less than ten digits",
            _short(values),
            "leave this sample out, or record it again",
        )
    return array


def _is_table(values: Any) -> bool:
    return isinstance(values, list) and len(values) == 4 and all(isinstance(row, list) and len(row) == 4 for row in values)


def _short(values: Any) -> str:
    text = repr(values)
    return text if len(text) <= 120 else f"{text[:117]}..."


def pose_entry(matrix: FloatArray) -> dict[str, Any]:
    """Convert a pose (4, 4) to the form of the sample file."""
    value = Transform.from_matrix("a", "b", matrix)
    return {"translation_m": value.translation_m.tolist(), "quaternion_xyzw": value.quaternion_xyzw.tolist()}
