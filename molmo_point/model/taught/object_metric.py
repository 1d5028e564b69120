"""The object metric: log-likelihood ratio that a seen object is the one of some shown views.

Descriptors of objects are projected so that the spread of one object over views, tables and lights is 1 in every dimension, and
objects differ by `between`. Both are taken as normal, so the ratio has a closed form: probabilistic linear discriminant analysis
(Ioffe, 2006).
`python -m lab.read_out.metric` fitted it on rendered household objects; none of a user's objects is needed.
"""

from dataclasses import dataclass, fields
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays

from molmo_point.arrays import FloatArray
from molmo_point.errors import CheckpointError
from molmo_point.files import read_file
from molmo_point.geometry.mapping_file import parse_json
from molmo_point.model.read_out.read_out_network import ReadOutNetwork, load_read_out

READER = Path(__file__).resolve().parents[2] / "checkpoints" / "objects"
_AGAIN = "install molmo-point again"
MOST_VIEWS = 12
"""Views beyond these make a head no surer: they are not independent."""


@dataclass(frozen=True, eq=False)
class ObjectMetric:
    """A projection of descriptors, and the calibration of its ratios.

    Attributes:
        middle: (n,) mean of all descriptors.
        scale: (n,) their standard deviations.
        center: (n,) mean of the objects, normalized.
        projection: (n, d) to the space in which one object has spread 1.
        between: (d,) variance of the objects in that space.
        unknown: () log-likelihood ratio of an object that nobody taught.
        slope: () of the log-odds that a place is right, by its score.
        offset: () of the same.
        rates: (m,) shares of images in which an absent object is found, falling.
        limits: (m,) least score at each of these rates, rising.
    """

    middle: NDArray[np.float32]
    scale: NDArray[np.float32]
    center: NDArray[np.float32]
    projection: NDArray[np.float32]
    between: NDArray[np.float32]
    unknown: NDArray[np.float32]
    slope: NDArray[np.float32]
    offset: NDArray[np.float32]
    rates: NDArray[np.float32]
    limits: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Number of dimensions of a projected descriptor."""
        return len(self.between)

    def project(self, descriptors: FloatArray) -> NDArray[np.float32]:
        """Project descriptors (k, n) to (k, d)."""
        return (((descriptors - self.middle) / self.scale - self.center) @ self.projection).astype(np.float32)

    def log_ratio(self, seen: FloatArray, shown: FloatArray, views: float) -> FloatArray:
        """Return the log-likelihood ratio (k,) that seen objects are a shown one, against any other object.

        Args:
            seen: (k, d) projected.
            shown: (d,) mean of the projected views of one object.
            views: Number of these views.
        """
        noise = 1.0 / min(max(views, 1.0), MOST_VIEWS)
        gain = self.between / (self.between + noise)
        variance = gain * noise + 1.0
        any_object = self.between + 1.0
        own = (seen - gain * shown) ** 2 / variance + np.log(variance)
        return -0.5 * (own - seen**2 / any_object - np.log(any_object)).sum(-1)

    def probability(self, score: float) -> float:
        """Return the calibrated probability that a place of a score is right."""
        return float(1 / (1 + np.exp(-np.clip(self.slope * score + self.offset, -30, 30))))

    def limit(self, false_alarms: float) -> float:
        """Return the least score of a place that is answered, for a share of images with a false alarm."""
        return float(np.interp(-false_alarms, -self.rates, self.limits))


@cache
def load_object_metric() -> ObjectMetric:
    """Load the object metric of this package.

    Raises:
        CheckpointError: Its file is missing or broken.
    """
    path = READER / "metric.safetensors"
    try:
        held = load_arrays(read_file(path))
        return ObjectMetric(**{each.name: held[each.name].astype(np.float32) for each in fields(ObjectMetric)})
    except (ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError("the object metric must be complete", f"{path}: {error}", _AGAIN) from error


@cache
def load_object_reader() -> ReadOutNetwork:
    """Load the read-out network that finds objects; CheckpointError if its files are missing or broken."""
    try:
        settings = parse_json(read_file(READER / "config.json").decode("utf-8"))
    except ValueError as error:
        raise CheckpointError("the read-out network must be complete", f"{READER}: {error}", _AGAIN) from error
    return load_read_out(READER, settings)


@cache
def descriptor_version() -> bytes:
    """Return a hash of all that descriptors depend on, besides the feature network; a new calibration changes nothing."""
    metric = load_object_metric()
    digest = sha256(read_file(READER / "model.safetensors"))
    for part in (metric.middle, metric.scale, metric.center, metric.projection):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.digest()
