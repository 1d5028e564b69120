"""Judgment of an answer: its cautions, from typed facts."""

import math
from dataclasses import dataclass

from molmo_point.arrays import ColorArray
from molmo_point.cautions import Caution, CautionKind
from molmo_point.trust.confidence_calibration import Calibration
from molmo_point.trust.image_checks import check_image
from molmo_point.trust.label_rule import check_labels, shown
from molmo_point.trust.training_description import TrainingDescription


@dataclass(frozen=True, eq=False)
class AnswerFacts:
    """Facts about an answer to a request for points or for a count.

    Attributes:
        words: Words of the request.
        labels: The model's own names of its points; without those that it did not write.
        image_distance: Distance of the image from those of the training; NaN when unknown.
        evidence: Evidence of the vision features at the points, in log-odds; NaN when unknown.
        image_caution: Caution about the image itself; None without one.
        lost: Parts of the text that cannot be read, in words.
        truncated: Whether the text ended before the answer did.
        object_count: Number of objects that the answer points at.
        stated_count: Number that it states; None without one.
        stated: Cautions that the model states itself.
    """

    words: str
    labels: tuple[str, ...] = ()
    image_distance: float = math.nan
    evidence: float = math.nan
    image_caution: Caution | None = None
    lost: tuple[str, ...] = ()
    truncated: bool = False
    object_count: int = 0
    stated_count: int | None = None
    stated: tuple[Caution, ...] = ()


def judge_image(color: ColorArray, training: TrainingDescription) -> Caution | None:
    """Return the caution about an image (h, w, 3) itself; None without one."""
    return check_image(color) or (None if training.colors is None else training.colors.check(color))


def judge(facts: AnswerFacts, model: str, training: TrainingDescription, calibration: Calibration) -> tuple[Caution, ...]:
    """Collect the cautions of an answer, each kind once, in the order of `CautionKind`.

    Args:
        facts: Facts about the answer.
        model: Name of the model, for the messages.
        training: Training of the model; what it does not describe gives no caution.
        calibration: Calibration of the model.
    """
    vocabulary, familiarity = training.vocabulary, training.familiarity
    found = (
        None if vocabulary is None else vocabulary.check(facts.words, model),
        check_labels(facts.words, facts.labels, training.label_limit),
        None if familiarity is None or math.isnan(facts.image_distance) else familiarity.caution(facts.image_distance, model),
        _check_evidence(facts, model) if facts.evidence < training.least_evidence else None,
        facts.image_caution,
        _check_calibration(facts, model, training, calibration),
        Caution(CautionKind.UNREADABLE, f"a part of the answer cannot be read: {facts.lost[0]}") if facts.lost else None,
        Caution(CautionKind.TRUNCATED, "the text ended before the answer did") if facts.truncated else None,
        _check_count(facts),
        *facts.stated,
    )
    order = list(CautionKind)
    return tuple(sorted((caution for caution in found if caution is not None), key=lambda caution: order.index(caution.kind)))


def _check_evidence(facts: AnswerFacts, model: str) -> Caution:
    message = f"what {model} sees at the point does not look like {shown(facts.words)}"
    return Caution(CautionKind.UNFAMILIAR_OBJECT, message)


def _check_calibration(facts: AnswerFacts, model: str, training: TrainingDescription, calibration: Calibration) -> Caution | None:
    """Return a caution if there is no calibration, or if the distance of the image, on which it relies, is unknown."""
    if not calibration.is_fitted:
        message = f"{model} has no calibration, so its mistakes are unknown; fit one with molmo-point eval calibration"
        return Caution(CautionKind.UNCALIBRATED, message)
    if math.isnan(facts.image_distance) and (training.familiarity is not None or calibration.needs_distance):
        message = f"the trust.json of {model} is missing or of another model, so its mistakes are unknown; restore the file"
        return Caution(CautionKind.UNCALIBRATED, message)
    return None


def _check_count(facts: AnswerFacts) -> Caution | None:
    stated, counted = facts.stated_count, facts.object_count
    if stated is None or stated == counted:
        return None
    return Caution(CautionKind.COUNT_DIFFERS, f"the model states {stated} and points at {counted}")
