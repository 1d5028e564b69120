"""Fit of read-outs: patches of objects of known names, and of no object."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from lab.training.wordings import plural
from molmo_point.evaluation.labeled_view import MIN_PIXELS, LabeledView
from molmo_point.patch_features import PatchFeatures
from molmo_point.trust.word_readout import WordReadOut

_BACKGROUNDS, _PLACES, _DECAY = 2, 2, 1e-3
_ANY_OBJECT = ("object", "objects", "thing", "things", "item", "items")
NOTHING = ""


def patches_of(view: LabeledView, features: PatchFeatures, rng: np.random.Generator) -> list[tuple[np.ndarray, str, str]]:
    """Draw patches with the color and the shape at their middle: `_PLACES` of each object, and some of no object."""
    found = []
    for number in view.visible:
        if view.pixels[number] < MIN_PIXELS:
            continue
        rows, columns = np.nonzero(view.instances == number)
        middle = int(((columns - columns.mean()) ** 2 + (rows - rows.mean()) ** 2).argmin())
        name = view.objects[number]
        for place in (middle, *rng.integers(len(rows), size=_PLACES - 1)):
            row, column = features.place(float(columns[place]), float(rows[place]))
            found.append((features.values[row, column], name.color, name.shape))
    rows, columns = np.nonzero(view.instances < 0)
    for place in rng.integers(len(rows), size=_BACKGROUNDS if len(rows) else 0):
        row, column = features.place(float(columns[place]), float(rows[place]))
        found.append((features.values[row, column], NOTHING, NOTHING))
    return found


def fit_read_out(
    patches: np.ndarray, words: Sequence[str | None], forms_of: Callable[[str], tuple[str, ...]], any_object: bool
) -> WordReadOut:
    """Fit a softmax regression of the words at patches.

    Args:
        patches: (m, n) features.
        words: The word at each patch, `NOTHING` for no object, None for one of which people could disagree.
        forms_of: Gives all forms of a word, e.g. its plural.
        any_object: True if words for any object deny the class of no object.
    """
    classes = [NOTHING, *sorted({word for word in words if word})]
    kept = [k for k, word in enumerate(words) if word is not None]
    labels = torch.tensor([classes.index(str(words[k])) for k in kept])
    values = torch.tensor(patches[kept], dtype=torch.float32)
    mean, spread = values.mean(0), values.std(0) + 1e-6
    columns = torch.cat([(values - mean) / spread, torch.ones(len(values), 1)], 1)
    weights = torch.zeros(columns.shape[1], len(classes), requires_grad=True)
    steps = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        steps.zero_grad()
        value = torch.nn.functional.cross_entropy(columns @ weights, labels) + _DECAY * (weights[:-1] ** 2).sum()
        value.backward()
        return value

    steps.step(loss)  # pyright: ignore[reportArgumentType]
    scaled = weights.detach()[:-1] / spread[:, None]
    offset = weights.detach()[-1] - mean @ scaled
    forms = ((), *(forms_of(word) for word in classes[1:]))
    return WordReadOut(forms, _ANY_OBJECT if any_object else (), torch.cat([scaled, offset[None]]).numpy())


def forms(word: str) -> tuple[str, ...]:
    """Return a noun and its plural."""
    return tuple(dict.fromkeys((word, plural(word))))
