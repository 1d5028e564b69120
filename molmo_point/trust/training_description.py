"""Description of a checkpoint's training: what it knows, and what its images looked like."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from molmo_point.request import Kind
from molmo_point.trust.image_familiarity import ImageFamiliarity
from molmo_point.trust.label_rule import DEFAULT_LABEL_LIMIT
from molmo_point.trust.trained_colors import TrainedColors
from molmo_point.trust.trained_words import TrainedWords
from molmo_point.trust.word_readout import WordReadOut


@dataclass(frozen=True, eq=False)
class TrainingDescription:
    """The training of a checkpoint, as far as it is described.

    Attributes:
        vocabulary: Words of the training; None if they are not described, or if the model knows the words of the world.
        abilities: Kinds of questions that it was trained for; None if they are not described.
        familiarity: Distribution of its images; None if it is not described.
        label_limit: Share of the words of its own names that a query may lack.
        read_outs: Read-outs of its words from vision features; empty without any.
        least_evidence: Log-odds of the read-outs at a point below which the object there is unfamiliar.
        colors: Colors of its images; None if they are not described.
    """

    vocabulary: TrainedWords | None = None
    abilities: frozenset[Kind] | None = None
    familiarity: ImageFamiliarity | None = None
    label_limit: float = DEFAULT_LABEL_LIMIT
    read_outs: tuple[WordReadOut, ...] = ()
    least_evidence: float = -math.inf
    colors: TrainedColors | None = None

    @property
    def needs_features(self) -> bool:
        """True if judging an answer takes the vision features of its image."""
        return self.familiarity is not None or bool(self.read_outs)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "TrainingDescription":
        """Read the form of `to_settings`; ValueError, KeyError or TypeError if it is another."""
        names = ("vocabulary", "abilities", "familiarity", "colors")
        vocabulary, abilities, familiarity, colors = (settings.get(name) for name in names)
        return cls(
            None if vocabulary is None else TrainedWords.from_settings(vocabulary),
            None if abilities is None else frozenset(Kind(kind) for kind in abilities),
            None if familiarity is None else ImageFamiliarity.from_settings(familiarity),
            _share(settings.get("label_limit", DEFAULT_LABEL_LIMIT)),
            tuple(WordReadOut.from_settings(each) for each in settings.get("read_outs", ())),
            float(settings.get("least_evidence", -math.inf)),
            None if colors is None else TrainedColors.from_settings(colors),
        )

    def to_settings(self) -> dict[str, Any]:
        """Return the content of ``trust.json``."""
        parts = {
            "vocabulary": self.vocabulary and self.vocabulary.to_settings(),
            "abilities": None if self.abilities is None else sorted(kind.value for kind in self.abilities),
            "familiarity": self.familiarity and self.familiarity.to_settings(),
            "label_limit": None if self.label_limit == DEFAULT_LABEL_LIMIT else self.label_limit,
            "read_outs": [each.to_settings() for each in self.read_outs] or None,
            "least_evidence": round(self.least_evidence, 3) if math.isfinite(self.least_evidence) else None,
            "colors": self.colors and self.colors.to_settings(),
        }
        return {name: part for name, part in parts.items() if part is not None}


def _share(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= float(value) <= 1:
        raise ValueError(f"label_limit must be 0 to 1, not {value!r}")
    return float(value)


UNDESCRIBED = TrainingDescription()
