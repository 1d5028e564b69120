"""Examples that a library keeps of one shown view: the object, and what else was to be seen.

A library stores `ViewExamples.arrays()` and restores them with `ViewExamples.from_arrays`; it need not know the fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.model.taught.feature_network import FeatureNetwork
from molmo_point.model.taught.object_metric import load_object_metric
from molmo_point.model.taught.seen_image import see_image
from molmo_point.model.taught.shown_view import ShownView

_MOST_OTHERS = 40


@dataclass(frozen=True, eq=False)
class ViewExamples:
    """Descriptors of one view, projected by the object metric.

    Attributes:
        shown: (d,) float32, the shown object.
        others: (k, d) float32, pieces elsewhere in the image that may be objects.
    """

    shown: NDArray[np.float32]
    others: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all content as named arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "ViewExamples":
        """Restore examples from `arrays()`.

        Raises:
            KeyError: An array is missing.
        """
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def fits(self) -> bool:
        """Tell whether types and shapes are those of the object metric."""
        size = load_object_metric().size
        shapes = self.shown.shape == (size,) and self.others.shape == (len(self.others), size)
        return shapes and self.shown.dtype == self.others.dtype == np.float32


def view_examples(view: ShownView, network: FeatureNetwork) -> ViewExamples:
    """Return the examples of one view."""
    seen = see_image(view.color, network)
    sure = view.mask if view.ignored is None else view.mask & ~view.ignored
    unsure = view.mask if view.ignored is None else view.mask | view.ignored
    return ViewExamples(seen.descriptor_of(sure if sure.any() else view.mask), seen.outside(unsure)[:_MOST_OTHERS])
