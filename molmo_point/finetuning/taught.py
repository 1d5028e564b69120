"""Words and kinds of questions that a run teaches, and the description of the training that follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from molmo_point.finetuning.labels.formats import Annotation, Caption, PointLabels
from molmo_point.query_words import named_objects
from molmo_point.request import Kind
from molmo_point.trust.trained_words import TrainedWords
from molmo_point.trust.training_description import TrainingDescription

LABEL_GROUP = "labels"
"""Group of the vocabulary that holds the labels of a user."""


@dataclass(frozen=True)
class Taught:
    """Content of a source, as far as a stage shows it.

    Attributes:
        words: Labels of objects that are shown, each once.
        kinds: Kinds of questions.
    """

    words: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()


def taught_by(annotations: Iterable[Annotation], stage: str) -> Taught:
    """Return the content of annotations; a label that no image shows teaches no word."""
    words: set[str] = set()
    kinds: set[Kind] = set()
    for annotation in annotations:
        if isinstance(annotation, Caption):
            kinds.add(Kind.CAPTION)
        elif stage == "caption":
            continue
        elif isinstance(annotation, PointLabels):
            kinds |= {Kind.COUNT} if annotation.percent is None else {Kind.COUNT, Kind.POINT}
            words |= {annotation.label} if annotation.count else set()
        else:
            kinds.add(Kind.ASK)
    return Taught(frozenset(words), frozenset(kinds))


def described(base: TrainingDescription, parts: Iterable[Taught]) -> TrainingDescription:
    """Describe a model that was trained further: words and kinds of questions of its base, and those of the run.

    A base without a vocabulary or without kinds is one that knows the world, and stays so. Measurements of the base are
    left out, because the run changes features and answers; `molmo-point eval calibration` measures them again.
    """
    parts = list(parts)
    words, kinds = frozenset[str]().union(*(part.words for part in parts)), frozenset[Kind]().union(*(p.kinds for p in parts))
    abilities = None if base.abilities is None else base.abilities | kinds
    vocabulary = with_words(base, words).vocabulary
    # New pictures may show another place than the base's.
    return TrainingDescription(vocabulary and replace(vocabulary, harmless_ends=()), abilities)


def with_words(description: TrainingDescription, words: Iterable[str], closed: bool = False) -> TrainingDescription:
    """Add labels to the vocabulary of a description, without articles; labels that it knows already are left out.

    Without a vocabulary it stays as it is; if `closed`, the labels become one.
    """
    known = description.vocabulary or (TrainedWords({}) if closed else None)
    if known is None:
        return description
    new = {named_objects(label).lower() for label in words if not known.groups or known.check(label, "")}
    labels = tuple(sorted({*known.groups.get(LABEL_GROUP, ()), *new}))
    if not labels:
        return description
    patterns = tuple(sorted({*known.patterns, LABEL_GROUP})) if known.patterns or not known.groups else ()
    return replace(description, vocabulary=replace(known, groups={**known.groups, LABEL_GROUP: labels}, patterns=patterns))
