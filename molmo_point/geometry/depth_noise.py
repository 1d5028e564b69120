"""Random error of the depth of one camera."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError

_Depth = TypeVar("_Depth", float, FloatArray)


class NoiseSource(str, Enum):
    """Origin of the values of a noise model."""

    GIVEN = "given"
    """Values of the caller, or of a recording that had them."""
    PRESET = "preset"
    """Values of a camera model, at its usual depth mode or at the mode that was named."""
    DEVICE = "device"
    """Values of a camera model, with the focal length and baseline that the device reported."""
    ESTIMATED = "estimated"
    """Fit to the residuals of planes in the frame itself."""
    ASSUMED = "assumed"
    """Values of a usual camera, because nothing was said and the frame shows no plane."""


@dataclass(frozen=True)
class DepthNoise:
    """Random error of a depth camera: a part that grows with disparity, and one that is a polynomial of depth.

    Stereo and structured light measure a disparity, z = focal * baseline / disparity. Its error gives
    sigma_z = z^2 * sigma_disparity / (focal * baseline). Time of flight has no baseline; its error is
    a + b z + c z^2. Both parts are added in quadrature. They cover random noise, not the bias of a camera that
    needs a new calibration. Depth that is aligned to a color image keeps the noise of its own camera.

    Attributes:
        baseline_m: Distance between the two imagers, in meters; None without disparity.
        sigma_disparity_px: Standard deviation of the disparity, in pixels of the depth camera; None without disparity.
        focal_px: Focal length of the depth camera, in pixels of its own image. None takes the focal length of the
            image that the depth is in; that is right for depth which is not aligned to another camera.
        correlation_px: Standard deviation, in pixels of the depth camera, of the smoothing that
            correlates neighboring errors: cameras match windows, so averaging pixels helps little.
        polynomial_m: Coefficients (a, b, c) of the part a + b z + c z^2, with z in meters.
        frame_ratio: Spread of one pixel over the frames of a still camera, in units of `sigma_z`. A window of one frame
            shares errors that change from frame to frame.
        grazing_ratio: The same on surfaces that are seen at a grazing angle.
        flicker_share: Share of the pixels that are measured in one frame and missing in another of a still camera.
        smoothing_px: Standard deviation, in pixels of the depth camera, of the smoothing of shapes by its matching;
            0 without.
        alignment_px: Standard deviation of the depth's shift against the color image, in pixels of that image.
        camera: Name of the camera model; empty if unknown.
        source: Origin of the values.

    Raises:
        InputError: If a value is not finite and above zero, or no part is given.
    """

    baseline_m: float | None = None
    sigma_disparity_px: float | None = None
    focal_px: float | None = None
    correlation_px: float = 1.5
    polynomial_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    frame_ratio: float = 1.5
    grazing_ratio: float = 4.0
    flicker_share: float = 0.115
    smoothing_px: float = 2.5
    alignment_px: float = 1.5
    camera: str = ""
    source: NoiseSource = NoiseSource.GIVEN

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", NoiseSource(self.source))
        object.__setattr__(self, "polynomial_m", tuple(self.polynomial_m))
        optional = ("baseline_m", "sigma_disparity_px", "focal_px")
        for name in (*optional, "correlation_px", "frame_ratio", "grazing_ratio"):
            value = getattr(self, name)
            if value is None and name in optional:
                continue
            if value is None or isinstance(value, bool) or not 0 < value < math.inf:
                raise InputError(f"{name} must be finite and above zero", f"{name}={value}", _FIX)
        for name in ("smoothing_px", "alignment_px"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be finite and not negative", f"{name}={getattr(self, name)}", _FIX)
        if not 0 <= self.flicker_share < 1:
            raise InputError("flicker_share must be a share from 0 to 1", f"{self.flicker_share}", _FIX)
        lawful = len(self.polynomial_m) == 3 and all(0 <= value < math.inf for value in self.polynomial_m)
        if not lawful or (self.baseline_m is None and not any(self.polynomial_m)):
            what = "polynomial_m must be three finite numbers, not all zero without a baseline"
            raise InputError(what, f"{self.polynomial_m}", _FIX)
        if (self.baseline_m is None) != (self.sigma_disparity_px is None):
            given = f"baseline_m={self.baseline_m}, sigma_disparity_px={self.sigma_disparity_px}"
            raise InputError("baseline_m and sigma_disparity_px must both be given, or neither", given, _FIX)

    @property
    def guessed(self) -> bool:
        """True if nobody said which camera it is: the values are an estimate or an assumption."""
        return self.source in (NoiseSource.ESTIMATED, NoiseSource.ASSUMED)

    def sigma_z(self, depth_m: _Depth, focal_px: float) -> _Depth:
        """Return the standard deviation of the depth, in meters.

        Args:
            depth_m: Depth along z in meters, a number or an array; NaN gives NaN.
            focal_px: Focal length, in pixels, of the image that the depth is in; replaced by the depth
                camera's own (`self.focal_px`) if known.
        """
        a, b, c = self.polynomial_m
        own: Any = a + depth_m * (b + depth_m * c)
        if self.baseline_m is None or self.sigma_disparity_px is None:
            return own
        matched: Any = depth_m * depth_m * (self.sigma_disparity_px / ((self.focal_px or focal_px) * self.baseline_m))
        return (matched * matched + own * own) ** 0.5 if any(self.polynomial_m) else matched

    def sigma_change(self, depth_m: _Depth, focal_px: float, *, grazing: bool = False) -> _Depth:
        """Return the spread, in meters, of one pixel over the frames of a still camera; arguments as `sigma_z`.

        Args:
            depth_m: Depth along z in meters, a number or an array.
            focal_px: Focal length, in pixels, of the image that the depth is in.
            grazing: True for a surface that is seen at a grazing angle.
        """
        return self.sigma_z(depth_m, focal_px) * (self.grazing_ratio if grazing else self.frame_ratio)

    def pixel_ratio(self, focal_px: float) -> float:
        """Return the number of pixels of an image with `focal_px` per pixel of the depth camera."""
        return focal_px / (self.focal_px or focal_px)

    def independent(self, pixels: float, focal_px: float) -> float:
        """Return the number of independent errors among `pixels` pixels of an image; at least 1."""
        alike = 4.0 * math.pi * (self.correlation_px * self.pixel_ratio(focal_px)) ** 2
        return max(1.0, pixels / alike)


_FIX = "use a preset of molmo_point.geometry.depth_cameras or the data sheet of the camera"
_WIDE_PX, _NARROW_PX = 424.0, 610.0
"""Focal lengths of the D400 depth imagers at 848x480, the mode that Intel recommends for most of them."""


def _d400(camera: str, baseline_m: float, focal_px: float) -> DepthNoise:
    return DepthNoise(baseline_m, 0.062, focal_px, 1.6, camera=camera, source=NoiseSource.PRESET)


D405 = _d400("D405", 0.018, _WIDE_PX)
D415 = _d400("D415", 0.055, _NARROW_PX)
D435 = _d400("D435", 0.050, _WIDE_PX)
D455 = _d400("D455", 0.095, _WIDE_PX)
