"""Interface of the faults of a simulated depth camera, and the surface properties that they depend on."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from molmo_point.arrays import ColorArray, DepthArray, FloatArray
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics


class Material(IntEnum):
    """Surface of a pixel, by its effect on a depth camera."""

    PLAIN = 0
    DARK = 1
    SHINY = 2
    GLASS = 3


@dataclass(frozen=True, eq=False)
class Appearance:
    """Properties of the visible surfaces, apart from their depth.

    Attributes:
        color: Color image (h, w, 3), uint8 RGB; dark and overexposed pixels lose depth. None if unknown.
        material: Material (h, w) of each pixel, values of `Material`. None if unknown.
        behind_m: Depth (h, w) in meters without the transparent objects. None if unknown.
    """

    color: ColorArray | None = None
    material: np.ndarray | None = None
    behind_m: FloatArray | DepthArray | None = None


NO_APPEARANCE = Appearance()


class DepthFaults(ABC):
    """Faults of one kind of depth camera."""

    @abstractmethod
    def measure(
        self,
        depth_m: FloatArray,
        intrinsics: Intrinsics,
        noise: DepthNoise,
        rng: np.random.Generator,
        appearance: Appearance,
    ) -> DepthArray:
        """Turn a true depth image (h, w) in meters into the camera's, (h, w) float32, NaN where missing."""

    def drawn(self, rng: np.random.Generator) -> "DepthFaults":
        """Draw one camera of this kind, as cameras and their settings differ; `self` by default."""
        del rng
        return self

    def stated_noise(self, noise: DepthNoise, intrinsics: Intrinsics) -> DepthNoise:
        """Return the noise that this camera's frames name; `noise` itself by default."""
        del intrinsics
        return noise
