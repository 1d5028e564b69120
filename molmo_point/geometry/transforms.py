"""Rigid transforms with frame names.

`target_T_source` maps points expressed in `source` to points expressed in `target`; the order is
that of tf2's `lookup_transform(target, source, stamp)`. Inner frames cancel:
`base_T_grasp = base_T_camera @ camera_T_grasp`, and `@` raises when the inner frames differ.
"""

import contextlib
import logging
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import FloatArray
from molmo_point.errors import DependencyError, FrameError, InputError, printable
from molmo_point.files import write_file
from molmo_point.geometry.mapping_file import read_mapping, warn_if_cut_off
from molmo_point.geometry.rigid import hat, motion, nearest_rotation, quaternions_of

_LOG = logging.getLogger(__name__)
_ORTHONORMAL_TOLERANCE = 1e-3
_EXACT = 1e-12
_MAX_DISTANCE_M = 10_000.0
"""Farther origins are refused everywhere: no estimate of an arm is that wrong, millimeters taken for meters included."""
MAX_REACH_M = 1000.0
"""Farther origins are refused in files and messages."""
_QUESTIONED_REACH_M = 10.0
_ROUNDINGS, _FLOAT32_ERROR, _ROUGH = 4.0, 1e-6, 2e-3
"""Errors of R R^T or of a squared length: by rounding the last decimal, in units of it; of float32; of a millimeter at 1 m."""
_MIN_SIGMA, _MAX_SIGMA_M, _MAX_SIGMA_RAD = 1e-9, 10.0, np.pi
_MAX_FRAME_LENGTH = 255
_LARGEST = 1e15
"""Larger numbers are no measurement, and their squares may overflow."""


@dataclass(frozen=True, eq=False)
class Transform:
    """Rigid transform `target_T_source`, optionally with its covariance.

    Attributes:
        target: Frame of the points that `apply` returns.
        source: Frame of the points that `apply` takes.
        rotation: Rotation matrix (3, 3).
        translation_m: Origin of `source` in `target` (3,), in meters.
        covariance: (6, 6) in the order x, y, z, rotation about x, y, z, in m^2, m rad and rad^2,
            about the fixed axes of `target` (as in ROS' PoseWithCovariance). None is unknown;
            `@` and `apply_covariance` treat it as exact.

    Raises:
        InputError: For wrong shapes, values that are no finite numbers, a matrix that is not a rotation, a translation
            above 10 km, a covariance that is not symmetric and positive semi-definite, or a frame name that is empty or
            has control characters.
    """

    target: str
    source: str
    rotation: FloatArray
    translation_m: FloatArray
    covariance: FloatArray | None = None

    def __post_init__(self) -> None:
        for name in ("target", "source"):
            check_frame_name(f"The {name} frame", getattr(self, name))
        translation = _array("translation_m", self.translation_m, (3,))
        _check_distance(translation, _MAX_DISTANCE_M)
        object.__setattr__(self, "rotation", _frozen(_rotation(self.rotation)))
        object.__setattr__(self, "translation_m", _frozen(translation))
        if self.covariance is not None:
            object.__setattr__(self, "covariance", _frozen(_covariance(self.covariance)))

    @classmethod
    def identity(cls, target: str, source: str) -> "Transform":
        """Return the transform between two frames that coincide."""
        return cls(target, source, np.eye(3), np.zeros(3))

    @classmethod
    def from_matrix(cls, target: str, source: str, matrix: ArrayLike, covariance: ArrayLike | None = None) -> "Transform":
        """Build from a homogeneous 4x4 matrix.

        Raises:
            InputError: If the matrix is not 4x4 with the last row 0 0 0 1, and as the class does.
        """
        matrix = _array("matrix", matrix, (4, 4))
        if np.abs(matrix[3] - [0.0, 0.0, 0.0, 1.0]).max() > _ORTHONORMAL_TOLERANCE:
            raise InputError("matrix must have the last row 0 0 0 1", f"{matrix[3].tolist()}", "check that it is not transposed")
        return cls(target, source, matrix[:3, :3], matrix[:3, 3], covariance)  # type: ignore[arg-type]

    @classmethod
    def from_quaternion(
        cls,
        target: str,
        source: str,
        xyzw: ArrayLike,
        translation_m: ArrayLike,
        covariance: ArrayLike | None = None,
    ) -> "Transform":
        """Build from a quaternion in the order x, y, z, w and a translation in meters.

        Raises:
            InputError: If the quaternion's norm is more than 1 % off one, and as the class does.
        """
        quaternion = _array("quaternion xyzw", xyzw, (4,))
        norm = float(np.linalg.norm(quaternion))
        if abs(norm - 1.0) > 0.01:
            raise InputError(
                "quaternion xyzw must have length 1",
                f"norm {norm:.4g} of {quaternion.tolist()}",
                "normalize it, and check the order x, y, z, w",
            )
        return cls(target, source, _matrix_of(quaternion / norm), translation_m, covariance)  # type: ignore[arg-type]

    @property
    def matrix(self) -> FloatArray:
        """Homogeneous matrix (4, 4)."""
        return motion(self.rotation, self.translation_m)

    @property
    def quaternion_xyzw(self) -> FloatArray:
        """Unit quaternion (4,) in the order x, y, z, w, with w >= 0."""
        return quaternions_of(self.rotation)

    def __matmul__(self, other: "Transform") -> "Transform":
        """Chain transforms: `a_T_b @ b_T_c` is `a_T_c`.

        Raises:
            FrameError: If this source frame is not the other's target frame.
        """
        if not isinstance(other, Transform):
            return NotImplemented
        if self.source != other.target:
            raise FrameError(
                "The inner frames of two chained transforms must be equal",
                f"{self.target}_T_{self.source} @ {other.target}_T_{other.source}",
                f"put a transform from {other.target!r} to {self.source!r} between, or invert one",
            )
        return Transform(
            self.target,
            other.source,
            self.rotation @ other.rotation,
            self.rotation @ other.translation_m + self.translation_m,
            self._chained_covariance(other),
        )

    def inverse(self) -> "Transform":
        """Return `source_T_target`."""
        back = self.rotation.T
        covariance = None
        if self.covariance is not None:
            jacobian = np.zeros((6, 6))
            jacobian[:3, :3] = -back
            jacobian[:3, 3:] = -back @ hat(self.translation_m)
            jacobian[3:, 3:] = -back
            covariance = jacobian @ self.covariance @ jacobian.T
        return Transform(self.source, self.target, back, -back @ self.translation_m, covariance)

    def apply(self, points: ArrayLike, frame: str) -> FloatArray:
        """Express points (..., 3) of the source frame in the target frame.

        Args:
            points: Points in meters; NaN stays NaN.
            frame: Frame of the points; must be `source`.

        Raises:
            FrameError: If the points are in another frame.
            InputError: If the last axis is not 3.
        """
        if frame != self.source:
            raise FrameError(
                "The points must be in the source frame of the transform",
                f"points in {frame!r}, transform {self.target}_T_{self.source}",
                f"use the transform from {frame!r} to {self.target!r}",
            )
        array = np.asarray(points, dtype=np.float64)
        if array.ndim < 1 or array.shape[-1] != 3:
            raise InputError("points must have a last axis of length 3", f"shape {array.shape}", "give an array (..., 3)")
        return array @ self.rotation.T + self.translation_m

    def apply_covariance(self, covariance_m2: ArrayLike, position_m: ArrayLike) -> FloatArray:
        """Return the covariance (3, 3) of a point in the target frame, including that of the transform.

        Args:
            covariance_m2: Covariance (3, 3) of the point in the source frame, in square meters.
            position_m: The point (3,) in the source frame; a rotation error displaces far points more.
        """
        covariance = _array("covariance_m2", covariance_m2, (3, 3))
        rotated = self.rotation @ covariance @ self.rotation.T
        if self.covariance is not None:
            lever = self.rotation @ _array("position_m", position_m, (3,))
            jacobian = np.hstack([np.eye(3), -hat(lever)])
            rotated = rotated + jacobian @ self.covariance @ jacobian.T
        return (rotated + rotated.T) / 2.0

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of the YAML file of `load_transform`."""
        values: dict[str, Any] = {
            "target": self.target,
            "source": self.source,
            "translation_m": self.translation_m.tolist(),
            "quaternion_xyzw": self.quaternion_xyzw.tolist(),
        }
        return values if self.covariance is None else values | {"covariance": self.covariance.tolist()}

    def _chained_covariance(self, other: "Transform") -> FloatArray | None:
        if self.covariance is None and other.covariance is None:
            return None
        total = np.zeros((6, 6))
        if self.covariance is not None:
            outer = np.eye(6)
            outer[:3, 3:] = -hat(self.rotation @ other.translation_m)
            total += outer @ self.covariance @ outer.T
        if other.covariance is not None:
            inner = np.kron(np.eye(2), self.rotation)
            total += inner @ other.covariance @ inner.T
        return total


def load_transform(path: str | Path) -> Transform:
    """Read a transform from YAML (or JSON).

    Keys: `target`, `source`, then `translation_m` with `quaternion_xyzw`, or a 4x4 `matrix`;
    optional `covariance` (6x6).

    Raises:
        InputError: If the file is missing or invalid, the translation is above 1 km, the frames are one, or the covariance
            is absurd.
        DependencyError: For a YAML file without PyYAML.
    """
    values = read_mapping(path)
    pose = {"matrix"} if "matrix" in values else {"translation_m", "quaternion_xyzw"}
    missing = sorted(({"target", "source"} | pose) - values.keys())
    unknown = sorted(map(reprlib.repr, values.keys() - {"target", "source", "covariance"} - pose))
    if missing or unknown:
        raise InputError(
            "The keys of a transform file must be the required ones",
            f"{path}: missing {missing}, unknown {unknown}",
            "give target, source, translation_m, quaternion_xyzw (or matrix), optional covariance",
        )
    frames = values["target"], values["source"]
    covariance = values.get("covariance")
    try:
        if "matrix" in values:
            transform = Transform.from_matrix(*frames, values["matrix"], covariance)
        else:
            transform = Transform.from_quaternion(*frames, values["quaternion_xyzw"], values["translation_m"], covariance)
        check_reach(transform)
        _check_sigmas(transform)
    except InputError as error:
        raise InputError(error.what, f"{path}: {error.given}", error.fix) from error
    if transform.target == transform.source:
        given = f"{path}: both are {transform.target}"
        raise InputError("target and source must be two frames", given, "name the frame of the points and that of the camera")
    warn_if_cut_off(path)
    for question in _questions(values, transform):
        _LOG.warning("%s: %s", printable(str(path)), question)
    return transform


def _questions(values: Mapping[str, Any], transform: Transform) -> Iterator[str]:
    """Yield what is legal in a file and mostly wrong: another unit, and a rotation with a digit lost."""
    distance_m = float(np.linalg.norm(transform.translation_m))
    if distance_m > _QUESTIONED_REACH_M:
        yield f"the frames are {distance_m:.4g} m apart; if the file is in millimeters, divide by 1000"
    written = np.asarray(values["matrix"] if "matrix" in values else values["quaternion_xyzw"], np.float64)
    rows = written[:3, :3] if "matrix" in values else written[None]
    error = float(np.abs(rows @ rows.T - np.eye(len(rows))).max())
    decimals = max(len(np.format_float_positional(number).partition(".")[2]) for number in rows.ravel().tolist())
    if error > min(max(_ROUNDINGS * 10.0 ** -min(decimals, 15), _FLOAT32_ERROR), _ROUGH):
        yield f"is the rotation complete? Its length is off by {error:.1g}, which moves points"


def check_reach(transform: Transform) -> None:
    """Refuse a transform of a file or message whose frames are more than 1 km apart.

    Raises:
        InputError: They are.
    """
    _check_distance(transform.translation_m, MAX_REACH_M)


def save_transform(path: str | Path, transform: Transform) -> None:
    """Write a transform as YAML that `load_transform` reads back.

    Raises:
        InputError: If the file cannot be written.
        DependencyError: Without PyYAML.
    """
    try:
        import yaml
    except ImportError as error:
        raise DependencyError("Writing YAML needs PyYAML", "no module named yaml", "pip install pyyaml") from error
    write_file(path, yaml.safe_dump(transform.to_dict(), sort_keys=False, default_flow_style=None).encode())


def _matrix_of(xyzw: FloatArray) -> FloatArray:
    x, y, z, w = xyzw
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _rotation(values: ArrayLike) -> FloatArray:
    rotation = _array("rotation", values, (3, 3))
    error = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    if error > _ORTHONORMAL_TOLERANCE or np.linalg.det(rotation) < 0:
        raise InputError(
            "rotation must be a rotation matrix",
            f"R^T R differs from 1 by {error:.2g}, determinant {np.linalg.det(rotation):.3g}",
            "give an orthonormal matrix with determinant +1, without scale or mirror",
        )
    return nearest_rotation(rotation) if error > _EXACT else rotation


def _covariance(values: ArrayLike) -> FloatArray:
    covariance = _array("covariance", values, (6, 6))
    scale = float(np.abs(covariance).max())
    symmetric = np.abs(covariance - covariance.T).max() <= 1e-6 * scale
    if not symmetric or np.linalg.eigvalsh(covariance)[0] < -1e-6 * scale:
        raise InputError(
            "covariance must be symmetric and positive semi-definite",
            f"diagonal {np.diag(covariance).tolist()}",
            "give variances (squares of sigmas) in the order x, y, z, rx, ry, rz",
        )
    return (covariance + covariance.T) / 2.0


def _check_distance(translation_m: FloatArray, limit_m: float) -> None:
    distance_m = float(np.linalg.norm(translation_m))
    if distance_m > limit_m:
        fix = "give meters; divide millimeters by 1000"
        raise InputError(f"translation_m must be at most {limit_m:g} m long", f"{distance_m:.4g} m", fix)


def _check_sigmas(transform: Transform) -> None:
    """Refuse a stated covariance that is no estimate: certain, or wider than a room or a turn."""
    if transform.covariance is None:
        return
    sigmas = np.sqrt(np.maximum(np.diag(transform.covariance), 0.0))
    far_m, far_rad = float(sigmas[:3].max()), float(sigmas[3:].max())
    if far_m > _MAX_SIGMA_M or far_rad > _MAX_SIGMA_RAD or max(far_m, far_rad) < _MIN_SIGMA:
        raise InputError(
            f"The sigmas of covariance must be {_MIN_SIGMA:g} to {_MAX_SIGMA_M:g} m, and at most pi rad",
            f"{far_m:.3g} m, {far_rad:.3g} rad",
            "give variances in m^2 and rad^2, or leave covariance out if it is unknown",
        )


def _array(name: str, values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    numbers = values.dtype.kind in "iuf" if isinstance(values, np.ndarray) else _are_numbers(values, shape)
    array = np.array(np.nan)
    if numbers:
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            array = np.array(values, dtype=np.float64)
    if array.shape != shape or not np.all(np.abs(array) <= _LARGEST):
        given = reprlib.repr(values.tolist() if isinstance(values, np.ndarray) else values)
        raise InputError(f"{name} must be finite numbers of shape {shape}", given, f"give shape {shape}, in meters and radians")
    return array


def _are_numbers(values: Any, shape: tuple[int, ...]) -> bool:
    """Test for nested lists of this shape, before they are copied; `true` is no number, but YAML reads 1e-5 as text."""
    if not shape:
        return not isinstance(values, (bool, np.bool_))
    good = isinstance(values, (Sequence, np.ndarray)) and not isinstance(values, (str, bytes)) and len(values) == shape[0]
    return good and all(_are_numbers(value, shape[1:]) for value in values)


def _frozen(array: FloatArray) -> FloatArray:
    array = np.array(array, dtype=np.float64)
    array.flags.writeable = False
    return array


def check_frame_name(name: str, frame: object) -> None:
    """Refuse a frame name that is empty, longer than 255 characters, or has control characters.

    Args:
        name: Subject of the error.
        frame: The name.

    Raises:
        InputError: It does.
    """
    if not isinstance(frame, str) or not frame.strip():
        raise InputError(f"{name} must have a name", reprlib.repr(frame), "give e.g. 'base_link'")
    if len(frame) > _MAX_FRAME_LENGTH or not frame.isprintable():
        what = f"{name} must have a printable name of at most {_MAX_FRAME_LENGTH} characters"
        raise InputError(what, reprlib.repr(frame), "give e.g. 'base_link'")
