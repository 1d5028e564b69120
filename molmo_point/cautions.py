"""Cautions: typed reasons for doubting an answer of a model."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from molmo_point.errors import InputError
from molmo_point.plain_json import plain_json


class CautionKind(str, Enum):
    """Reason for doubting an answer.

    UNKNOWN_WORDS: the query has words, or an order of words, that the model was not trained on.
    LABEL_DIFFERS: the model names another object than the query.
    UNFAMILIAR_IMAGE: the image is unlike those of the training.
    UNFAMILIAR_OBJECT: the image at the point is unlike what the query names.
    POOR_IMAGE: the image is too dark, too bright, without texture, or has swapped channels.
    NOT_TRAINED: the model was not trained for questions of this kind.
    UNCALIBRATED: the model has no calibration, or one whose description is missing: its mistakes are unknown.
    UNREADABLE: a part of the answer cannot be read.
    TRUNCATED: the text ended before the answer did.
    COUNT_DIFFERS: the stated number is not the number of points.
    MISALIGNED_DEPTH: the edges of the depth image are significantly shifted against those of the color image.
    CONFUSABLE: another taught object looks nearly the same at the point.
    """

    UNKNOWN_WORDS = "UNKNOWN_WORDS"
    LABEL_DIFFERS = "LABEL_DIFFERS"
    UNFAMILIAR_IMAGE = "UNFAMILIAR_IMAGE"
    UNFAMILIAR_OBJECT = "UNFAMILIAR_OBJECT"
    POOR_IMAGE = "POOR_IMAGE"
    NOT_TRAINED = "NOT_TRAINED"
    UNCALIBRATED = "UNCALIBRATED"
    UNREADABLE = "UNREADABLE"
    TRUNCATED = "TRUNCATED"
    COUNT_DIFFERS = "COUNT_DIFFERS"
    MISALIGNED_DEPTH = "MISALIGNED_DEPTH"
    CONFUSABLE = "CONFUSABLE"

    @property
    def holds_for_any_image(self) -> bool:
        """True if the caution is about the words or the model: another view changes nothing."""
        return self in (CautionKind.UNKNOWN_WORDS, CautionKind.NOT_TRAINED, CautionKind.UNCALIBRATED)


def caution_kinds(names: Iterable[CautionKind | str]) -> frozenset[CautionKind]:
    """Read the kinds of cautions that a caller accepts.

    Args:
        names: Kinds, or their names.

    Raises:
        InputError: If a name is none of `CautionKind`, or all are given as one text.
    """
    given = (names,) if isinstance(names, str) else tuple(names)
    known = {kind.value for kind in CautionKind}
    wrong = [each for each in given if each not in known]
    if wrong or isinstance(names, str):
        fix = f"give a list of {', '.join(sorted(known))}"
        raise InputError("accept_cautions must be a list of kinds of cautions", repr(names)[:200], fix)
    return frozenset(CautionKind(each) for each in given)


@dataclass(frozen=True)
class Caution:
    """One reason for doubting an answer.

    Attributes:
        kind: The kind of the reason.
        message: One plain line for people.
        words: Words of the query that it is about; empty without any.
        suggestion: A better query; empty without one.
    """

    kind: CautionKind
    message: str
    words: tuple[str, ...] = ()
    suggestion: str = ""

    @property
    def brief(self) -> str:
        """A few words for a picture, e.g. "unknown words: mug"."""
        kind = self.kind.value.lower().replace("_", " ")
        return f"{kind}: {', '.join(self.words)}" if self.words else kind

    @property
    def sentence(self) -> str:
        """The message and the suggestion in one line."""
        return f"{self.message.rstrip('.')}; did you mean {self.suggestion!r}?" if self.suggestion else self.message

    def __str__(self) -> str:
        """Return the kind, the message and the suggestion in one line."""
        return f"{self.kind.value}: {self.sentence}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return plain_json(self)
