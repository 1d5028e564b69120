"""Familiarity of an image: its distance from the images of the training, in the features of the vision encoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from molmo_point.arrays import FloatArray
from molmo_point.cautions import Caution, CautionKind


@dataclass(frozen=True, eq=False)
class ImageFamiliarity:
    """Distribution of image features in the training.

    Attributes:
        limit: Distance beyond which an image is unfamiliar.
    """

    limit: float

    def distance(self, features: FloatArray) -> float:
        """Return the distance of the features (n,) of an image from the training."""
        return 0.0

    def caution(self, distance: float, model: str) -> Caution | None:
        """Judge a distance; None within the limit.

        Args:
            distance: Distance of an image from the training.
            model: Name of the model, for the message.
        """
        if distance <= self.limit:
            return None
        message = f"the image is unlike those that {model} was trained on (distance {distance:.3g}, limit {self.limit:.3g})"
        return Caution(CautionKind.UNFAMILIAR_IMAGE, message)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "ImageFamiliarity":
        """Read the form of `to_settings`; ValueError if it is another."""
        return cls(float(settings["limit"]))

    def to_settings(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {"limit": self.limit}
