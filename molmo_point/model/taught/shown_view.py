"""One view of an object that a person shows: image and mask, checked once."""

from dataclasses import dataclass

from molmo_point.arrays import BoolArray, ColorArray
from molmo_point.errors import InputError


@dataclass(frozen=True, eq=False)
class ShownView:
    """One view of an object.

    Attributes:
        color: RGB image (h, w, 3), uint8.
        mask: Pixels of the object (h, w).
        ignored: Pixels (h, w) that may or may not show the object, e.g. a hand; None without such pixels.
        origin: Source of the image, e.g. the name of a file or of a camera.
        stamp_ns: Capture time in nanoseconds; None if unknown.

    Raises:
        InputError: Shapes or types are wrong or contradict each other, or the mask is empty.
    """

    color: ColorArray
    mask: BoolArray
    ignored: BoolArray | None = None
    origin: str = ""
    stamp_ns: int | None = None

    def __post_init__(self) -> None:
        if self.color.ndim != 3 or self.color.shape[2] != 3 or self.color.dtype != "uint8":
            given = f"{self.color.dtype} of shape {self.color.shape}"
            raise InputError("color must be an RGB image (h, w, 3) of uint8", given, "convert the image")
        for name, mask in (("mask", self.mask), ("ignored", self.ignored)):
            if mask is not None and (mask.shape != self.color.shape[:2] or mask.dtype != bool):
                given = f"{mask.dtype} of shape {mask.shape}, image {self.color.shape[:2]}"
                raise InputError(f"{name} must be a bool array of the image's height and width", given, "make it from this image")
        if not self.mask.any():
            raise InputError("mask must hold the object", "an empty mask", "show a view in which the object is seen")
