"""Random error of stereo depth, and the values of three cameras."""

import math
from dataclasses import dataclass
from typing import TypeVar

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError

_Depth = TypeVar("_Depth", float, FloatArray)


@dataclass(frozen=True)
class DepthNoise:
    """Random error of a stereo depth camera: sigma_z = z^2 * sigma_disparity / (focal * baseline).

    The relation follows from z = focal * baseline / disparity. It covers random noise, not the
    bias of a camera that needs a new calibration.

    Attributes:
        baseline_m: Distance between the two imagers, in meters.
        sigma_disparity_px: Standard deviation of the disparity, in pixels of the depth image.
        focal_px: Focal length of the depth camera, in pixels of its own image. Depth that is aligned to
            a color image keeps the noise of its own camera. None takes the focal length of the image
            that the depth is in.
        correlation_px: Standard deviation, in pixels of the depth image, of the smoothing that
            correlates neighboring errors: stereo matches windows, so averaging pixels helps little.

    Raises:
        InputError: If a value is not finite and above zero.
    """

    baseline_m: float
    sigma_disparity_px: float
    focal_px: float | None = None
    correlation_px: float = 1.5

    def __post_init__(self) -> None:
        for name in ("baseline_m", "sigma_disparity_px", "focal_px", "correlation_px"):
            value = getattr(self, name)
            if value is None and name == "focal_px":
                continue
            if value is None or isinstance(value, bool) or not 0 < value < math.inf:
                fix = "use a preset (D435, D455, D405) or the data sheet of the camera"
                raise InputError(f"{name} must be finite and above zero", f"{name}={value}", fix)

    def sigma_z(self, depth_m: _Depth, focal_px: float) -> _Depth:
        """Return the standard deviation of the depth, in meters.

        Args:
            depth_m: Depth along z in meters, a number or an array; NaN gives NaN.
            focal_px: Focal length, in pixels, of the image that the depth is in; replaced by the depth
                camera's own (`self.focal_px`) if known.
        """
        return depth_m * depth_m * (self.sigma_disparity_px / ((self.focal_px or focal_px) * self.baseline_m))

    def pixel_ratio(self, focal_px: float) -> float:
        """Return the number of pixels of an image with `focal_px` per pixel of the depth camera."""
        return focal_px / (self.focal_px or focal_px)

    def independent(self, pixels: float, focal_px: float) -> float:
        """Return the number of independent errors among `pixels` pixels of an image; at least 1."""
        alike = 4.0 * math.pi * (self.correlation_px * self.pixel_ratio(focal_px)) ** 2
        return max(1.0, pixels / alike)


D435 = DepthNoise(baseline_m=0.050, sigma_disparity_px=0.08)
D455 = DepthNoise(baseline_m=0.095, sigma_disparity_px=0.08)
D405 = DepthNoise(baseline_m=0.018, sigma_disparity_px=0.08)
