"""A plane known beforehand, such as a table, on which points of a camera without depth lie."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import FloatArray
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.mapping_file import read_mapping
from molmo_point.geometry.transforms import Transform, check_frame_name
from molmo_point.plain_json import plain_json

SIGMA_M = 0.003
"""Default standard deviation of a plane that was measured with a ruler, in meters."""
HEIGHT_M, HEIGHT_SIGMA_M = 0.05, 0.025
"""Default height of pointed-at surfaces above the table, in meters: mean and spread over the objects of the simulated tables.

Measured by `python -m benchmarks.without_depth`.
"""
_MAX_OFFSET_M = 1000.0
_KEYS = ("frame", "z_m", "normal", "offset_m", "sigma_m", "height_m", "height_sigma_m")


@dataclass(frozen=True, eq=False)
class KnownPlane:
    """A plane with the points p of a frame for which normal @ p = offset_m.

    Attributes:
        frame: Frame of the plane.
        normal: Unit vector (3,) away from the support, toward the objects on it.
        offset_m: Distance of the plane from the origin along the normal, in meters.
        sigma_m: Standard deviation of the offset, in meters.
        height_m: Mean height of the pointed-at surfaces above the plane, in meters; 0 for points on the plane itself.
        height_sigma_m: Standard deviation of that height, in meters. It dominates the error of a camera that looks flatly.

    Raises:
        InputError: If a number is not finite, a sigma is negative, or the normal has no length.
    """

    frame: str
    normal: FloatArray
    offset_m: float
    sigma_m: float = SIGMA_M
    height_m: float = HEIGHT_M
    height_sigma_m: float = HEIGHT_SIGMA_M

    def __post_init__(self) -> None:
        check_frame_name("The frame of the plane", self.frame)
        try:
            normal = np.array(self.normal, dtype=np.float64)
        except (TypeError, ValueError):
            normal = np.zeros(0)
        length = float(np.linalg.norm(normal)) if normal.shape == (3,) else math.nan
        if not 1e-6 < length < math.inf:
            given = repr(self.normal)[:100]
            raise InputError("normal must be three finite numbers, not all zero", given, "give [0, 0, 1] for a level table")
        normal /= length
        normal.setflags(write=False)
        object.__setattr__(self, "normal", normal)
        for name in ("offset_m", "sigma_m", "height_m", "height_sigma_m"):
            value = getattr(self, name)
            least = 0.0 if "sigma" in name else -_MAX_OFFSET_M
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            if not number or not least <= value <= _MAX_OFFSET_M:
                what = f"{name} must be {least:g} to {_MAX_OFFSET_M:g} meters"
                raise InputError(what, f"{name}={value!r}"[:100], "give meters")
            object.__setattr__(self, name, float(value))

    @classmethod
    def level(cls, frame: str, z_m: float, **settings: float) -> "KnownPlane":
        """Return the level plane at a height of a frame whose z axis points up; settings as the class."""
        return cls(frame, np.array([0.0, 0.0, 1.0]), z_m, **settings)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "KnownPlane":
        """Build from `frame` with `z_m`, or with `normal` and `offset_m`; optional `sigma_m height_m height_sigma_m`.

        Raises:
            InputError: For missing or unknown keys, and as the class does.
        """
        unknown = [str(key) for key in values if key not in _KEYS]
        is_level = "z_m" in values
        form = {"frame", "z_m"} if is_level else {"frame", "normal", "offset_m"}
        if unknown or {"frame", "z_m", "normal", "offset_m"} & set(values) != form:
            fix = "write frame and z_m, or frame, normal and offset_m; optional are sigma_m, height_m, height_sigma_m"
            raise InputError("The keys of a plane must be the known ones", ", ".join(map(str, values))[:200] or "none", fix)
        settings = {key: values[key] for key in ("sigma_m", "height_m", "height_sigma_m") if key in values}
        if is_level:
            return cls(values["frame"], np.array([0.0, 0.0, 1.0]), values["z_m"], **settings)
        return cls(values["frame"], values["normal"], values["offset_m"], **settings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON that `from_dict` reads back."""
        return plain_json(self)

    def transformed(self, transform: Transform) -> "KnownPlane":
        """Return the plane in the transform's target frame.

        Raises:
            FrameError: The transform does not start in the plane's frame.
        """
        if transform.source != self.frame:
            given = f"plane in {self.frame!r}, transform {transform.target}_T_{transform.source}"
            raise FrameError("transform must start in the frame of the plane", given, f"give one from {self.frame!r}")
        normal = transform.rotation @ self.normal
        offset_m = self.offset_m + float(normal @ transform.translation_m)
        return replace(self, frame=transform.target, normal=normal, offset_m=offset_m)

    def height_of(self, points: ArrayLike) -> FloatArray:
        """Return the signed distance (...) of points (..., 3) from the plane, in meters."""
        return np.asarray(points, dtype=np.float64) @ self.normal - self.offset_m


def load_plane(path: str | Path) -> KnownPlane:
    """Read a plane from a JSON or YAML file; its keys are those of `KnownPlane.from_dict`.

    Raises:
        InputError: If the file is missing or invalid, or its values are.
        DependencyError: For a YAML file without PyYAML.
    """
    return KnownPlane.from_dict(read_mapping(path))
