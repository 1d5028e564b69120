"""Read-outs of words from vision features: a second opinion on what is at a point, and whether it is anywhere.

Each is a linear classifier of single patches that the export of a checkpoint fits to objects of known names. It does not
use the language model, so it errs in other cases.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.patch_features import PatchFeatures
from molmo_point.trust.float_text import from_text, to_text

_MOST_LOG_ODDS = 8.0
_AROUND = 1
"""Patches around a point that belong to its place."""
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, eq=False)
class WordReadOut:
    """Classifier of patches by the words of one group.

    Attributes:
        forms: For each class the words and phrases for it, lower case, e.g. ("cube", "cubes"); () for the class of patches
            without an object, which comes first. Words for any object have the form of that class, and mean its contrary.
        any_object: Words that mean any object, e.g. "object".
        weights: (n + 1, classes) float32; the last row is the offset.
    """

    forms: tuple[tuple[str, ...], ...]
    any_object: tuple[str, ...]
    weights: FloatArray

    def log_odds(self, features: FloatArray, words: Sequence[str]) -> FloatArray | None:
        """Return the log-odds (m,) that patches (m, n) show what the words name; None if the words name no class."""
        wanted = self._class_of(words)
        if wanted is None:
            return None
        scores = features @ self.weights[:-1] + self.weights[-1]
        others = np.delete(scores, wanted, axis=1)
        largest = others.max(1)
        rest = largest + np.log(np.exp(others - largest[:, None]).sum(1))
        odds = np.clip(scores[:, wanted] - rest, -_MOST_LOG_ODDS, _MOST_LOG_ODDS)
        # The first class is the background: a word for any object denies it.
        return -odds if wanted == 0 else odds

    def _class_of(self, words: Sequence[str]) -> int | None:
        text = f" {' '.join(words)} "
        named = [(len(form), k) for k, forms in enumerate(self.forms) for form in forms if f" {form} " in text]
        if named:
            return max(named)[1]
        return 0 if any(word in self.any_object for word in words) else None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "WordReadOut":
        """Read the form of `to_settings`; ValueError, KeyError or TypeError if it is another."""
        forms = tuple(tuple(str(form) for form in row) for row in settings["forms"])
        weights = from_text(settings["weights"])
        if weights.ndim != 2 or weights.shape[1] != len(forms) or len(forms) < 2:
            raise ValueError("read-out: the weights do not belong to the words")
        return cls(forms, tuple(str(word) for word in settings["any_object"]), weights)

    def to_settings(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        forms = [list(row) for row in self.forms]
        return {"forms": forms, "any_object": list(self.any_object), "weights": to_text(self.weights)}


@dataclass(frozen=True)
class Evidence:
    """Evidence of the vision features for the words of a query, in log-odds; NaN when nothing can be read out.

    Attributes:
        at: At the point; of several points the least.
        around: The best patch at the point or next to it; of several points the least.
        elsewhere: The best patch away from all points.
        anywhere: The best patch of the image.
    """

    at: float = math.nan
    around: float = math.nan
    elsewhere: float = math.nan
    anywhere: float = math.nan


def evidence_for(
    words: str, read_outs: Sequence[WordReadOut], features: PatchFeatures | None, points: Sequence[tuple[float, float]]
) -> Evidence:
    """Look for what a query names, in the patches at its points and in all others.

    Args:
        words: The query.
        read_outs: Read-outs of the checkpoint.
        features: Features of the image; None if they are unknown.
        points: (u, v) of the points of the answer in pixels of the image.
    """
    if features is None or not read_outs or features.values.shape[-1] + 1 != len(read_outs[0].weights):
        return Evidence()
    rows, columns, n = features.values.shape
    flat, named = features.values.reshape(-1, n), _WORDS.findall(words.lower())
    found = [odds for each in read_outs if (odds := each.log_odds(flat, named)) is not None]
    if not found:
        return Evidence()
    # The weakest of color and name decides.
    odds = np.minimum.reduce(found).reshape(rows, columns)[features.inside]
    anywhere = float(odds.max())
    if not points:
        return Evidence(anywhere=anywhere)
    first_row, first_column = features.inside[0].start, features.inside[1].start
    at, around, away = [], [], np.ones(odds.shape, bool)
    for u, v in points:
        row, column = features.place(u, v)
        row, column = min(max(row - first_row, 0), len(odds) - 1), min(max(column - first_column, 0), odds.shape[1] - 1)
        at.append(float(odds[row, column]))
        near = slice(max(row - _AROUND, 0), row + _AROUND + 1), slice(max(column - _AROUND, 0), column + _AROUND + 1)
        around.append(float(odds[near].max()))
        reach = 3 * _AROUND
        away[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = False
    elsewhere = float(odds[away].max()) if away.any() else -_MOST_LOG_ODDS
    return Evidence(min(at), min(around), elsewhere, anywhere)
