"""Places of a taught object in an image: points, their probability and error, and the probability that it is absent."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.model.taught.heads import Head
from molmo_point.model.taught.object_metric import load_object_metric
from molmo_point.model.taught.seen_image import Candidate, SeenImage

_MOST_PLACES, _MOST_LOOKED_AT = 32, 200
_NEAR = 1.2
"""Distance of middles, in sides of the larger candidate, below which two are one place."""
_HELD = 0.7
"""Share of the cells of a candidate that a larger one has which holds it."""
_NEARLY = 2.0
"""Lead of a score below which a rival explains a place nearly as well."""


@dataclass(frozen=True)
class Place:
    """One place that may show an object.

    Attributes:
        u: Column in pixels.
        v: Row in pixels.
        probability: Calibrated probability that the point lies on the object, 0 to 1.
        sigma_px: Standard deviation of u and of v in pixels, where the point lies on the object.
        rival: Name of another taught object that explains the place nearly as well; empty without one.
        rival_probability: Probability of the rival; 0 without one.
    """

    u: float
    v: float
    probability: float
    sigma_px: float
    rival: str = ""
    rival_probability: float = 0.0


@dataclass(frozen=True)
class Places:
    """Places of one object in one image.

    Attributes:
        places: Separate places, likeliest first; the first one is there even if the object is absent.
        absent_probability: Calibrated probability that the image does not show the object, 0 to 1.
        absent: Decision that the image does not show the object, at the stated rate of false alarms.
        count: Number of places that show the object; 0 if it is absent.
        familiarity: Probability that an image of those that were taught is less familiar than this one; NaN if unknown.
    """

    places: tuple[Place, ...]
    absent_probability: float
    absent: bool
    count: int
    familiarity: float = math.nan


def find_places(seen: SeenImage, heads: Mapping[str, Head], name: str, false_alarms: float = 0.05) -> Places:
    """Find the places of a taught object.

    Each candidate is compared with all taught objects and with an unknown one. Its score is the log-odds of the named one
    against all of these.

    Args:
        seen: The image.
        heads: Heads of all taught objects by name; the others tell rivals.
        name: Name of the object.
        false_alarms: Share of images without the object in which it may be found.
    """
    metric = load_object_metric()
    if not seen.candidates:
        middle = Place(seen.size_wh[0] / 2, seen.size_wh[1] / 2, 0.0, float(max(seen.size_wh)))
        return Places((middle,), 1.0, True, 0)
    names = list(heads)
    ratios = np.stack([heads[each].log_ratio(seen.descriptors) for each in names])
    scores = _log_odds(ratios, names.index(name), float(metric.unknown))
    limit = metric.limit(false_alarms)
    found = []
    for index in _separate(seen, scores, limit):
        rival = max((k for k in range(len(names)) if names[k] != name), key=lambda k: ratios[k, index], default=-1)
        near = (
            rival >= 0
            and ratios[rival, index] > ratios[names.index(name), index] - _NEARLY
            and ratios[rival, index] > metric.unknown
        )
        at, chance = seen.candidates[index], metric.probability(scores[index])
        against = metric.probability(_log_odds(ratios[:, index, None], rival, float(metric.unknown))[0]) if near else 0.0
        found.append((scores[index], Place(at.u, at.v, chance, at.sigma_px, names[rival] if near else "", against)))
    count = sum(score >= limit for score, _ in found)
    return Places(tuple(place for _, place in found), 1 - found[0][1].probability, count == 0, count)


def _log_odds(ratios: FloatArray, index: int, unknown: float) -> FloatArray:
    """Return the log-odds (k,) of one object against the others and an unknown one, from log-likelihood ratios (n, k)."""
    others = np.delete(ratios, index, 0)
    rest = np.logaddexp.reduce(np.concatenate([others, np.full((1, ratios.shape[1]), unknown)]))
    return ratios[index] - rest


def _near(candidates: Sequence[Candidate], index: int) -> BoolArray:
    """Tell which candidates (k,) lie so near one that they are parts of one object."""
    at = candidates[index]
    apart = np.array([math.hypot(each.u - at.u, each.v - at.v) / max(each.side_px, at.side_px) for each in candidates])
    return apart < _NEAR


def _separate(seen: SeenImage, scores: FloatArray, limit: float) -> list[int]:
    """Return the indices of candidates, best first, each on a place of its own.

    Parts of one object are one place: candidates that touch, and those that a larger one above the limit holds together. So two
    objects of one name that touch are one place, too, where nothing is between them.
    """
    holds = (seen.shared > _HELD) & (scores >= limit)[:, None]
    kept: list[int] = []
    for index in np.argsort(-scores)[:_MOST_LOOKED_AT]:
        joined = (holds & holds[:, index, None]).any(0)
        one = seen.touching[index] | joined | _near(seen.candidates, int(index))
        if not any(one[k] for k in kept):
            kept.append(int(index))
    return kept[:_MOST_PLACES]
