"""Heads of taught objects: one linear classifier of patches for each name, against all else.

A library stores `Head.arrays()` and restores it with `Head.from_arrays`; it need not know the fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.model.taught.view_examples import ViewExamples

_NOISE = 0.3
_STEPS = 12
_CONFUSED = 0.5


@dataclass(frozen=True, eq=False)
class Head:
    """Classifier of one object.

    Attributes:
        weights: (n + 1,) float32, of each feature, and the offset at the end.
        absence: (2,) float32: slope and offset of the log odds that the object is present, from the best log odds of a patch.
    """

    weights: NDArray[np.float32]
    absence: NDArray[np.float32]

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

    def fits(self, channels: int) -> bool:
        """Tell whether types and shapes are those of a head on a network with this number of features."""
        found = [(each.dtype, each.shape) for each in (self.weights, self.absence)]
        return found == [(np.float32, (channels + 1,)), (np.float32, (2,))]


def fit_heads(examples: Mapping[str, Sequence[ViewExamples]], heads: Mapping[str, Head], changed: str) -> dict[str, Head]:
    """Fit the head of an object that was taught, and those of objects that are confusable with it.

    Args:
        examples: Views of every object by name, that of `changed` included.
        heads: Heads so far, by name.
        changed: Name of the object whose views changed.

    Returns:
        All heads by name; those that need no change are the given objects.
    """
    fitted = {name: head for name, head in heads.items() if name in examples and name != changed}
    fitted[changed] = _fit(examples, changed, [name for name in examples if name != changed])
    for name in confusable(examples, fitted, changed):
        fitted[name] = _fit(examples, name, [changed])
    return fitted


def confusable(examples: Mapping[str, Sequence[ViewExamples]], heads: Mapping[str, Head], name: str) -> tuple[str, ...]:
    """Return the names of other objects whose head takes the views of an object for its own, likeliest first."""
    views = np.concatenate([view.on for view in examples[name]]).astype(np.float32)
    shares = {other: float((_odds(views, head) > 0).mean()) for other, head in heads.items() if other != name}
    return tuple(sorted((other for other, share in shares.items() if share > _CONFUSED), key=lambda other: -shares[other]))


def _odds(features: FloatArray, head: Head) -> FloatArray:
    return features @ head.weights[:-1] + head.weights[-1]


def _fit(examples: Mapping[str, Sequence[ViewExamples]], name: str, others: Sequence[str]) -> Head:
    on = np.concatenate([view.on for view in examples[name]])
    off = np.concatenate([*(view.off for view in examples[name]), *(view.on for other in others for view in examples[other])])
    return Head(_regression(on.astype(float), off.astype(float)), np.array((1.0, 0.0), np.float32))


def _regression(on: FloatArray, off: FloatArray) -> NDArray[np.float32]:
    """Fit a logistic regression; noise on the features is its penalty, and both classes weigh the same."""
    values = np.concatenate([on, off])
    mean, scale = values.mean(0), values.std(0) + 1e-3
    design = np.column_stack([(values - mean) / scale, np.ones(len(values))])
    target = np.repeat((1.0, 0.0), (len(on), len(off)))
    weight = np.repeat((0.5 / len(on), 0.5 / len(off)), (len(on), len(off)))
    penalty = np.full(design.shape[1], _NOISE**2 / 4)
    penalty[-1] = 1e-6
    w = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ w, -30, 30)))
        slope = design.T @ (weight * (p - target)) + penalty * w
        curve = (design * (weight * np.maximum(p * (1 - p), 1e-4))[:, None]).T @ design + np.diag(penalty)
        w = w - np.linalg.solve(curve, slope)
    per_feature = w[:-1] / scale
    return np.append(per_feature, w[-1] - per_feature @ mean).astype(np.float32)
