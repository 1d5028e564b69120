"""An image as the heads of taught objects see it: the features of its patches, computed once for all questions."""

from dataclasses import dataclass

from molmo_point.arrays import ColorArray
from molmo_point.model.taught.feature_network import FeatureNetwork
from molmo_point.patch_features import PatchFeatures


@dataclass(frozen=True, eq=False)
class SeenImage:
    """Features of one image.

    Attributes:
        grids: Features by patch, the whole image first.
        size_wh: Width and height of the image in pixels.
    """

    grids: tuple[PatchFeatures, ...]
    size_wh: tuple[int, int]


def see_image(color: ColorArray, network: FeatureNetwork) -> SeenImage:
    """Compute the features of an image (h, w, 3) uint8 RGB."""
    return SeenImage((network.grid(color),), (color.shape[1], color.shape[0]))
