"""Share of an object's views in which it is found by what the other views taught."""

import math

import numpy as np

from molmo_point.model.taught.heads import fit_heads
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.object_metric import load_object_metric

_MOST_VIEWS = 8


def found_rate(library: Library, name: str) -> float:
    """Leave out each view once, learn from the others, and look for the object in it.

    An object is found if it is likelier than everything else in the view, and than an unknown object. Of many views, eight
    are left out, spread over all.

    Args:
        library: The library.
        name: Name of an object.

    Returns:
        Share of the left-out views, 0 to 1; NaN for an object with one view.

    Raises:
        InputError: The library has no such object.
    """
    known = library.find(name)
    count = len(known.views)
    if count < 2:
        return math.nan
    examples = library.examples
    left_out = np.unique(np.linspace(0, count - 1, min(count, _MOST_VIEWS)).round().astype(int))
    found = []
    for number in left_out:
        rest = tuple(view for place, view in enumerate(examples[known.name]) if place != number)
        head = fit_heads({**examples, known.name: rest}, library.heads, known.name)[known.name]
        view = examples[known.name][number]
        ratio, others = head.log_ratio(view.shown[None])[0], head.log_ratio(view.others)
        found.append(bool(ratio > others.max(initial=float(load_object_metric().unknown))))
    return float(np.mean(found))
