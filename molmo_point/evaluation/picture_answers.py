"""Answers of a model about labeled pictures, as observations to fit and measure a calibration on."""

import copy
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.evaluation.intervals import share
from molmo_point.evaluation.labeled_pictures import LabeledQuestion, QuestionedPicture
from molmo_point.evaluation.observations import AnswerObservation, Observations, note_offset
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point.results import Pointing
from molmo_point.trust.answer_model import AnswerFeatures
from molmo_point.trust.confidence_calibration import UNCALIBRATED
from molmo_point.trust.image_familiarity import LEAST_IMAGES, ImageFamiliarity

_LEAST_ASKED = 3
_FOLDS, _FAMILIAR_SHARE = 5, 0.99


@dataclass
class PictureAnswers:
    """Answers about labeled pictures.

    Attributes:
        seen: Features and truth of the answers, and errors of points; the scene is the number of the picture.
        words: Words of each question, in the order of the answers.
        features: Summaries of the vision features of the pictures; empty for a backend that does not tell them.
    """

    seen: Observations = field(default_factory=Observations)
    words: list[str] = field(default_factory=list)
    features: list[FloatArray] = field(default_factory=list)

    def shares(self) -> dict[str, dict[str, float]]:
        """Return the shares of right answers about what is there and about what is not."""
        kinds = {"present_right": False, "absent_denied": True}
        return {name: share([each.right for each in self.seen.answers if each.absent == kind]) for name, kind in kinds.items()}


def answers_about(pointer: Pointer, pictures: Iterable[QuestionedPicture], radius_share: float) -> PictureAnswers:
    """Ask all questions about pictures, without calibration, and without the familiarity that will be fitted again.

    Args:
        pointer: The model.
        pictures: Pictures with their questions.
        radius_share: Distance from a labeled point up to which a point is right, as a share of the diagonal.

    Raises:
        InputError: The model tells no probabilities, or a picture cannot be read.
    """
    backend: Any = copy.copy(pointer.backend)
    backend.calibration, backend.training = UNCALIBRATED, replace(backend.training, familiarity=None)
    bare, found = Pointer(backend), PictureAnswers()
    for number, picture in enumerate(pictures):
        frame = RgbdFrame.of(picture.image.pixels())
        for question in picture.questions:
            pointing = bare.point(frame, question.words, spread=backend.tells_spread)
            _check_probabilities(pointing)
            _note(found.seen, question, pointing, frame.size_wh, radius_share, number)
            found.words.append(question.words)
        features = backend.image_features(frame.color)
        found.features += [] if features is None else [features.summary]
    return found


def known_words(answers: Iterable[PictureAnswers]) -> list[str]:
    """Return the labels that were asked often enough and answered right at least half of the time."""
    by_label: dict[str, list[bool]] = defaultdict(list)
    for words, answer in (pair for one in answers for pair in zip(one.words, one.seen.answers, strict=True)):
        if not answer.absent:
            by_label[words].append(answer.right)
    return sorted(label for label, right in by_label.items() if len(right) >= _LEAST_ASKED and np.mean(right) >= 0.5)


def familiarity_of(answers: Iterable[PictureAnswers]) -> ImageFamiliarity | None:
    """Fit the familiarity of images to those of the pictures; None for too few, or if the backend tells no features.

    The limit comes from every picture in turn while it is held out, because few pictures would give an unsteady one.
    """
    features = np.array([summary for one in answers for summary in one.features])
    if len(features) < LEAST_IMAGES:
        return None
    turned = [np.roll(features, turn, axis=0) for turn in range(_FOLDS)]
    fits = [ImageFamiliarity.fit(each) for each in turned]
    # `fit` holds out every fifth row.
    away = [fit.distance(row) * fit.limit for fit, each in zip(fits, turned, strict=True) for row in each[_FOLDS - 1 :: _FOLDS]]
    return replace(fits[0], limit=float(np.quantile(away, _FAMILIAR_SHARE)))


def _note(
    seen: Observations, question: LabeledQuestion, pointing: Pointing, size_wh: tuple[int, int], radius_share: float, number: int
) -> None:
    on_it = [question.is_right(point.uv, size_wh, radius_share) for point in pointing.points]
    right = not on_it if question.absent else bool(on_it) and all(on_it)
    features = AnswerFeatures(**pointing.signals)
    seen.answers.append(AnswerObservation(features, bool(on_it), right, question.absent, number))
    if on_it and not question.absent:
        middles, first = question.middles_px(size_wh), pointing.points[0]
        note_offset(seen, first, middles[np.argmin(np.hypot(*(middles - first.uv).T))], size_wh[0])


def _check_probabilities(pointing: Pointing) -> None:
    told = [pointing.denial_probability, *(point.digit_probability for point in pointing.points)]
    if not np.isfinite(told).any():
        fix = "calibrate a model that runs here, or a server that sends log-probabilities"
        raise InputError("The model must tell the probabilities of its answers", pointing.model, fix)
