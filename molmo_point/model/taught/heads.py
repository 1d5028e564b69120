"""Heads of taught objects: the mean of the descriptors of its views, judged by the object metric.

A library stores `Head.arrays()` and restores it with `Head.from_arrays`; it need not know the fields. A head depends on the views
of its own object alone. Teaching another object changes nothing, and costs no more with many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.model.taught.object_metric import load_object_metric
from molmo_point.model.taught.view_examples import ViewExamples

_CONFUSED = 0.5
"""Share of the views of an object that another head takes for its own, from which on the two look alike."""


@dataclass(frozen=True, eq=False)
class Head:
    """One object.

    Attributes:
        mean: (d,) float32, mean of the projected descriptors of its views.
        views: (1,) float32, number of these views.
    """

    mean: NDArray[np.float32]
    views: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all content as named arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Head":
        """Restore a head from `arrays()`.

        Raises:
            KeyError: An array is missing.
        """
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def fits(self) -> bool:
        """Tell whether types and shapes are those of the object metric."""
        found = [(each.dtype, each.shape) for each in (self.mean, self.views)]
        return found == [(np.float32, (load_object_metric().size,)), (np.float32, (1,))]

    def log_ratio(self, seen: FloatArray) -> FloatArray:
        """Return the log-likelihood ratio (k,) that seen objects (k, d) are this one."""
        return load_object_metric().log_ratio(seen, self.mean, float(self.views[0]))


def head_of(views: Sequence[ViewExamples]) -> Head:
    """Return the head of an object, from its views."""
    return Head(np.mean([view.shown for view in views], 0).astype(np.float32), np.array([len(views)], np.float32))


def fit_heads(examples: Mapping[str, Sequence[ViewExamples]], heads: Mapping[str, Head], changed: str) -> dict[str, Head]:
    """Fit the head of an object that was taught; all others stay the given objects.

    Args:
        examples: Views of every object by name, that of `changed` included.
        heads: Heads so far, by name.
        changed: Name of the object whose views changed.
    """
    kept = {name: head for name, head in heads.items() if name in examples}
    return kept | {changed: head_of(examples[changed])}


def confusable(examples: Mapping[str, Sequence[ViewExamples]], heads: Mapping[str, Head], name: str) -> tuple[str, ...]:
    """Return the names of other objects whose head takes the views of an object for its own, likeliest first."""
    views = np.stack([view.shown for view in examples[name]])
    unknown = float(load_object_metric().unknown)
    shares = {other: float((head.log_ratio(views) > unknown).mean()) for other, head in heads.items() if other != name}
    return tuple(sorted((other for other, share in shares.items() if share > _CONFUSED), key=lambda other: -shares[other]))
