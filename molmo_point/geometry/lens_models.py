"""Lens models on coordinates of rays (x / z, y / z): distort, undistort, differentiate, and the limit where a model folds.

The order of the coefficients and the formulas are OpenCV's (`cv2.projectPoints`, `cv2.fisheye.projectPoints`); those of
"inverse_brown_conrady" are librealsense's. Beyond a fold two rays share a pixel: a model has no rays there.
"""

import math
import reprlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.errors import InputError

_BROWN = ("k1", "k2", "p1", "p2", "k3")
_RATIONAL = (*_BROWN, "k4", "k5", "k6")
COEFFICIENTS: dict[str, tuple[str, ...]] = {
    "none": (),
    "brown_conrady": _BROWN,
    "inverse_brown_conrady": _BROWN,
    "rational_polynomial": _RATIONAL,
    "thin_prism": (*_RATIONAL, "s1", "s2", "s3", "s4", "tau_x", "tau_y"),
    "equidistant": ("k1", "k2", "k3", "k4"),
}
"""Lens model to the names of its coefficients, in order. A thin prism may lack the last two, the tilt of the sensor."""
ALIASES = {
    "": "none",
    "plumb_bob": "brown_conrady",
    "modified_brown_conrady": "inverse_brown_conrady",
    "fisheye": "equidistant",
    "kannala_brandt4": "equidistant",
}
"""Names of other software: ROS, OpenCV and librealsense."""
BY_LENGTH = {0: "none", 5: "brown_conrady", 8: "rational_polynomial", 12: "thin_prism", 14: "thin_prism"}
"""Number of coefficients to the model of OpenCV. Four are k1 k2 p1 p2 or a fisheye's: they need the name of the model."""

_NODES = 400
_WIDEST_RAD = 1.5690
"""Largest angle of a ray of a model with a pinhole, 89.9 degrees."""
_MAX_STEPS = 10
_CONVERGED = 1e-8
_NEAR_AXIS = 1e-8
_REAL = 1e-6


@dataclass(frozen=True)
class Lens:
    """Lens model with its coefficients. Coordinates are x / z and y / z; the distorted ones are (u - cx) / fx, (v - cy) / fy.

    Attributes:
        model: A key of `COEFFICIENTS`, or of `ALIASES`, which is replaced.
        coefficients: Coefficients in the order of `COEFFICIENTS`.

    Raises:
        InputError: For an unknown model, and a wrong number of coefficients.
    """

    model: str = "none"
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        model = ALIASES.get(self.model, self.model) if isinstance(self.model, str) else self.model
        object.__setattr__(self, "model", model)
        _check(model, self.coefficients)

    @property
    def distorts(self) -> bool:
        """True if the lens moves any ray. The equidistant model without coefficients does."""
        return self.model == "equidistant" or any(self.coefficients)

    @property
    def fold(self) -> float:
        """Smallest x / z of a ray, to any side, where the distorted radius stops growing; infinite if it never does."""
        return _fold(self.model, self.coefficients)

    @cached_property
    def _tilt(self) -> FloatArray | None:
        """Homography (3, 3) of a tilted sensor, or None."""
        tau_x, tau_y = self.coefficients[12:] if self.model == "thin_prism" and len(self.coefficients) > 12 else (0.0, 0.0)
        if not tau_x and not tau_y:
            return None
        (sin_x, sin_y), (cos_x, cos_y) = np.sin([tau_x, tau_y]), np.cos([tau_x, tau_y])
        about_x = np.array([[1.0, 0.0, 0.0], [0.0, cos_x, sin_x], [0.0, -sin_x, cos_x]])
        turn = np.array([[cos_y, 0.0, -sin_y], [0.0, 1.0, 0.0], [sin_y, 0.0, cos_y]]) @ about_x
        return np.array([[turn[2, 2], 0.0, -turn[0, 2]], [0.0, turn[2, 2], -turn[1, 2]], [0.0, 0.0, 1.0]]) @ turn

    def distort(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the distorted coordinates of rays; beyond the fold they are the polynomial's, and mean nothing."""
        if not self.distorts:
            return x, y
        return _tilted(self._tilt, *self._bent(x, y))

    def unfolded(self, x: FloatArray, y: FloatArray) -> BoolArray:
        """Test whether rays lie before the fold of the model."""
        return x * x + y * y < self.fold**2

    def undistort(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the rays of distorted coordinates, to convergence; NaN where the model has none before its fold."""
        if not self.distorts:
            return x, y
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        with np.errstate(all="ignore"):
            if self._tilt is not None:
                x, y = _tilted(np.linalg.inv(self._tilt), x, y)
            distorted = np.hypot(x, y)
            radii, reach = _profile(self.model, self.coefficients)
            radius = np.interp(distorted, reach, radii)
            scale = np.where(distorted > 0.0, radius / distorted, 1.0)
            found = self._refined_angle(x, y, radius) if self.model == "equidistant" else self._refined(x, y, scale)
            good = self.unfolded(*found)
        return np.where(good, found[0], np.nan), np.where(good, found[1], np.nan)

    def jacobian(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Differentiate the distorted coordinates (rows) by those of rays (columns); (..., 2, 2)."""
        if not self.distorts:
            return np.broadcast_to(np.eye(2), (*np.shape(x), 2, 2))
        slopes = np.stack([np.stack(np.broadcast_arrays(*row), axis=-1) for row in self._slopes(x, y)], axis=-2)
        if self._tilt is None:
            return slopes
        bent_x, bent_y = self._bent(x, y)
        tilt = self._tilt
        tilted = np.stack(_tilted(tilt, bent_x, bent_y), axis=-1)
        weight = tilt[2, 0] * bent_x + tilt[2, 1] * bent_y + tilt[2, 2]
        return (tilt[:2, :2] - tilted[..., None] * tilt[2, :2]) @ slopes / weight[..., None, None]

    def _refined(self, x: FloatArray, y: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Invert the model by Newton's method, from rays that are right but for the tangential terms; NaN without an inverse."""
        at_x, at_y = x * scale, y * scale
        for _ in range(_MAX_STEPS):
            bent_x, bent_y = self._bent(at_x, at_y)
            (x_x, x_y), (y_x, y_y) = self._slopes(at_x, at_y)
            off_x, off_y, turned = x - bent_x, y - bent_y, x_x * y_y - x_y * y_x
            step_x, step_y = (y_y * off_x - x_y * off_y) / turned, (x_x * off_y - y_x * off_x) / turned
            at_x, at_y = at_x + step_x, at_y + step_y
            # The error after a step is about its square.
            settled = (np.abs(step_x) + np.abs(step_y) <= _CONVERGED * (1.0 + np.abs(at_x) + np.abs(at_y))) & (turned > 0.0)
            if np.all(settled):
                return at_x, at_y
        return np.where(settled, at_x, np.nan), np.where(settled, at_y, np.nan)

    def _refined_angle(self, x: FloatArray, y: FloatArray, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Invert the fisheye model by Newton's method on the angle from the axis; NaN without an inverse."""
        wanted, angle = np.hypot(x, y), np.arctan(radius)
        series = Polynomial(_angle_series(self.coefficients))
        slope = series.deriv()
        for _ in range(_MAX_STEPS):
            step = (wanted - series(angle)) / slope(angle)
            angle = angle + step
            settled = np.abs(step) <= _CONVERGED
            if np.all(settled):
                break
        angle = np.where(settled & (angle >= 0.0) & (angle < _WIDEST_RAD), angle, np.nan)
        scale = np.where(wanted > 0.0, np.tan(angle) / wanted, 1.0)
        return x * scale, y * scale

    def _bent(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distort but for the tilt of the sensor."""
        r2 = x * x + y * y
        factor, _ = _factor(self.model, self.coefficients, r2)
        if self.model == "equidistant":
            return x * factor, y * factor
        p1, p2 = self.coefficients[2:4]
        bent_x, bent_y = x * factor, y * factor
        if self.model == "inverse_brown_conrady":
            x, y = bent_x, bent_y
        bent_x = bent_x + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
        bent_y = bent_y + 2.0 * p2 * x * y + p1 * (r2 + 2.0 * y * y)
        if self.model == "thin_prism":
            s1, s2, s3, s4 = self.coefficients[8:12]
            bent_x, bent_y = bent_x + r2 * (s1 + r2 * s2), bent_y + r2 * (s3 + r2 * s4)
        return bent_x, bent_y

    def _slopes(self, x: FloatArray, y: FloatArray) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """Differentiate `_bent`: ((x by x, x by y), (y by x, y by y))."""
        r2 = x * x + y * y
        factor, by_r2 = _factor(self.model, self.coefficients, r2)
        x_x, x_y, y_y = factor + 2.0 * x * x * by_r2, 2.0 * x * y * by_r2, factor + 2.0 * y * y * by_r2
        if self.model == "equidistant":
            return (x_x, x_y), (x_y, y_y)
        p1, p2 = self.coefficients[2:4]
        # The offsets p2 * r2 and p1 * r2, with those of a thin prism.
        push_x, push_y = p2, p1
        if self.model == "thin_prism":
            s1, s2, s3, s4 = self.coefficients[8:12]
            push_x, push_y = p2 + s1 + 2.0 * r2 * s2, p1 + s3 + 2.0 * r2 * s4
        if self.model == "inverse_brown_conrady":
            bent_x, bent_y = x * factor, y * factor
            t_xx, t_xy = 2.0 * p1 * bent_y + 4.0 * p2 * bent_x, 2.0 * p1 * bent_x
            t_yx, t_yy = 2.0 * p2 * bent_y, 2.0 * p2 * bent_x + 4.0 * p1 * bent_y
            t_xx, t_xy, t_yx, t_yy = (
                t_xx * x_x + t_xy * x_y,
                t_xx * x_y + t_xy * y_y,
                t_yx * x_x + t_yy * x_y,
                t_yx * x_y + t_yy * y_y,
            )
        else:
            t_xx, t_xy = 2.0 * p1 * y + 4.0 * p2 * x, 2.0 * p1 * x
            t_yx, t_yy = 2.0 * p2 * y, 2.0 * p2 * x + 4.0 * p1 * y
        return (
            (x_x + t_xx + 2.0 * push_x * x, x_y + t_xy + 2.0 * push_x * y),
            (x_y + t_yx + 2.0 * push_y * x, y_y + t_yy + 2.0 * push_y * y),
        )


def _check(model: Any, coefficients: tuple[float, ...]) -> None:
    if not isinstance(model, str) or model not in COEFFICIENTS:
        what = f"distortion_model must be one of {', '.join(COEFFICIENTS)}"
        raise InputError(what, reprlib.repr(model), "undistort the image first, or fit one of these models")
    names, count = COEFFICIENTS[model], len(coefficients)
    if model == "none" and any(coefficients):
        fix = "name the model, e.g. 'brown_conrady' for OpenCV's five coefficients"
        raise InputError("distortion must be zero or empty for the model 'none'", f"distortion={coefficients}", fix)
    if model != "none" and count != len(names) and not (model == "thin_prism" and count == 12):
        words = f"{len(names)}, or 12 without the tilt," if model == "thin_prism" else str(len(names))
        fix = f"give {', '.join(names)}, with 0 for those that were not calibrated"
        raise InputError(f"distortion must be {words} coefficients for the model {model}", f"{count} coefficients", fix)


def _tilted(tilt: FloatArray | None, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    if tilt is None:
        return x, y
    weight = tilt[2, 0] * x + tilt[2, 1] * y + tilt[2, 2]
    return (tilt[0, 0] * x + tilt[0, 1] * y + tilt[0, 2]) / weight, (tilt[1, 0] * x + tilt[1, 1] * y + tilt[1, 2]) / weight


def _angle_series(coefficients: tuple[float, ...]) -> list[float]:
    """Return the powers of the distorted radius of a fisheye lens, in the angle from the axis."""
    k1, k2, k3, k4 = coefficients
    return [0.0, 1.0, 0.0, k1, 0.0, k2, 0.0, k3, 0.0, k4]


def _factor(model: str, coefficients: tuple[float, ...], r2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the distorted over the undistorted radius, and its derivative by the squared radius."""
    if model == "equidistant":
        k1, k2, k3, k4 = coefficients
        radius = np.sqrt(r2)
        angle = np.arctan(radius)
        a2 = angle * angle
        distorted = angle * (1.0 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
        slope = (1.0 + a2 * (3.0 * k1 + a2 * (5.0 * k2 + a2 * (7.0 * k3 + a2 * 9.0 * k4)))) / (1.0 + r2)
        near = r2 < _NEAR_AXIS
        factor = np.where(near, 1.0 + (k1 - 1.0 / 3.0) * r2, distorted / np.where(near, 1.0, radius))
        return factor, np.where(near, k1 - 1.0 / 3.0, (slope - factor) / np.where(near, 1.0, 2.0 * r2))
    k1, k2, k3 = coefficients[0], coefficients[1], coefficients[4]
    factor = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    by_r2 = k1 + r2 * (2.0 * k2 + r2 * 3.0 * k3)
    if model not in ("rational_polynomial", "thin_prism"):
        return factor, by_r2
    k4, k5, k6 = coefficients[5:8]
    below = 1.0 + r2 * (k4 + r2 * (k5 + r2 * k6))
    factor = factor / below
    return factor, (by_r2 - factor * (k4 + r2 * (2.0 * k5 + r2 * 3.0 * k6))) / below


@lru_cache(maxsize=64)
def _fold(model: str, coefficients: tuple[float, ...]) -> float:
    """Return the undistorted radius where the distorted radius stops growing; 0 for coefficients beyond all numbers."""
    if model == "none" or not any(coefficients):
        return math.inf
    with np.errstate(all="ignore"):
        if model == "equidistant":
            angle = _first_root(Polynomial(_angle_series(coefficients)).deriv())
            return math.tan(angle) if angle < math.pi / 2.0 else math.inf
        k1, k2, _, _, k3, *rest = coefficients
        above = Polynomial([1.0, k1, k2, k3])
        below = Polynomial([1.0, *rest[:3]])
        s = Polynomial([0.0, 1.0])
        # d/dr (r above(r^2) / below(r^2)), without its denominator.
        slope = (above + 2.0 * s * above.deriv()) * below - 2.0 * s * above * below.deriv()
        return math.sqrt(min(_first_root(slope), _first_root(below)))


def _first_root(polynomial: Polynomial) -> float:
    if not np.all(np.isfinite(polynomial.coef)):
        return 0.0
    roots = polynomial.trim().roots()
    real = roots.real[np.abs(roots.imag) <= _REAL * np.abs(roots)]
    return float(np.min(real[real > 0.0], initial=math.inf))


@lru_cache(maxsize=64)
def _profile(model: str, coefficients: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    """Tabulate undistorted radii up to the fold, with their distorted radii; both grow."""
    widest = min(math.atan(_fold(model, coefficients)), _WIDEST_RAD)
    radii = np.tan(np.linspace(0.0, widest, _NODES))
    with np.errstate(all="ignore"):
        reach = radii * _factor(model, coefficients, radii * radii)[0]
    return radii, np.maximum.accumulate(np.where(np.isfinite(reach), reach, 0.0))
