"""The judgment of an answer: every reason for doubt, each once and in one order, and confidence only without any."""

import math
from dataclasses import replace

import numpy as np
import pytest

from molmo_point.cautions import Caution, CautionKind
from molmo_point.errors import NotTrainedError
from molmo_point.pointer import Pointer
from molmo_point.request import Kind
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration, line
from molmo_point.trust.image_familiarity import ImageFamiliarity
from molmo_point.trust.judgment import AnswerFacts, judge
from molmo_point.trust.trained_words import TrainedWords
from molmo_point.trust.training_description import UNDESCRIBED, TrainingDescription

from ..scripted_backend import FRAME, MUG, Scripted

FITTED = Calibration(line("digit", 1.0, 0.5), line("absent", 1.0, 0.5))
DARK = Caution(CautionKind.POOR_IMAGE, "dark")
FACTS = AnswerFacts("a mug", ("mug",))
COUNTED = ' Counting the <points x1="1" y1="2" x2="3" y2="4" alt="mugs">mugs</points> shows a total of '


def kinds(facts: AnswerFacts, training: TrainingDescription = UNDESCRIBED, calibration: Calibration = FITTED) -> list[str]:
    return [caution.kind.value for caution in judge(facts, "model", training, calibration)]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (FACTS, []),
        (replace(FACTS, labels=()), []),
        (replace(FACTS, labels=("mug", "blue cube")), ["LABEL_DIFFERS"]),
        (replace(FACTS, image_caution=DARK), ["POOR_IMAGE"]),
        (replace(FACTS, lost=("a coordinate cannot be read",)), ["UNREADABLE"]),
        (replace(FACTS, truncated=True), ["TRUNCATED"]),
        (replace(FACTS, object_count=2, stated_count=2), []),
        (replace(FACTS, object_count=2, stated_count=3), ["COUNT_DIFFERS"]),
        (replace(FACTS, object_count=2, stated_count=None), []),
    ],
)
def test_each_fact_has_its_caution(facts: AnswerFacts, expected: list[str]) -> None:
    assert kinds(facts) == expected


def test_all_reasons_come_once_in_the_order_of_their_kinds() -> None:
    facts = AnswerFacts("a person", ("cube", "ball"), math.nan, -9.0, DARK, ("x", "y"), True, 2, 3)
    known = TrainingDescription(TrainedWords({"shapes": ("cube",)}), least_evidence=-5.0)
    found = kinds(facts, known, UNCALIBRATED)
    order = [kind.value for kind in CautionKind]
    assert found == sorted(set(found), key=order.index)
    assert set(order) - set(found) == {"UNFAMILIAR_IMAGE", "NOT_TRAINED", "MISALIGNED_DEPTH", "CONFUSABLE"}


def test_a_training_that_is_not_described_gives_no_caution() -> None:
    assert kinds(AnswerFacts("a quagga", image_distance=1e9, evidence=-1e9)) == []


def answered(text: str, words: str = "the mug", finish_reason: str = "stop", **attributes: object) -> Scripted:
    backend = Scripted(text, finish_reason, probability=0.9)
    for name, value in attributes.items():
        setattr(backend, name, value)
    return backend


def test_a_confidence_is_calibrated_or_unknown() -> None:
    trusted = Pointer(answered(MUG, calibration=FITTED)).point(FRAME, "the mug")
    assert trusted.trusted and trusted.points[0].confidence > trusted.points[0].digit_probability > 0
    doubted = Pointer(answered(MUG, calibration=FITTED)).point(FRAME, "a person")
    assert math.isnan(doubted.points[0].confidence) and doubted.points[0].digit_probability > 0
    raw = Pointer(answered(MUG)).point(FRAME, "the mug")
    assert [caution.kind for caution in raw.cautions] == [CautionKind.UNCALIBRATED]
    assert math.isnan(raw.points[0].confidence) and math.isnan(raw.absent_probability) and raw.points[0].digit_probability > 0


@pytest.mark.parametrize(
    ("text", "finish_reason", "expected"),
    [
        (MUG, "stop", []),
        (MUG, "length", ["TRUNCATED"]),
        (MUG[:-4], "stop", ["TRUNCATED"]),
        (' <point x="50.0" y="150.0" alt="mug">mug</point>', "stop", ["UNREADABLE"]),
        (' <points x1="50.0" y1="50.0" x2="7.0" alt="mug">mug</points>', "stop", ["UNREADABLE"]),
        (' <points x1="5.0" y1="5.0" x2="5.0" y2="5.0" alt="mug">mug</points>', "stop", []),
        (" I am a table tennis bat.", "stop", ["UNREADABLE"]),
        ("", "stop", ["UNREADABLE"]),
        (" There are none.", "stop", []),
    ],
)
def test_texts_that_lose_points_or_end_early_are_doubted(text: str, finish_reason: str, expected: list[str]) -> None:
    pointing = Pointer(answered(text, finish_reason=finish_reason, calibration=FITTED)).point(FRAME, "the mug")
    assert [caution.kind.value for caution in pointing.cautions] == expected


@pytest.mark.parametrize(
    ("text", "finish_reason", "expected"),
    [
        (COUNTED + "2.", "stop", []),
        (COUNTED + "3.", "stop", ["COUNT_DIFFERS"]),
        (COUNTED + "2.", "length", ["TRUNCATED"]),
        (" Counting the mugs shows a total of 5.", "stop", ["UNREADABLE", "COUNT_DIFFERS"]),
        (" There are none.", "stop", []),
    ],
)
def test_a_count_is_judged_as_points_are(text: str, finish_reason: str, expected: list[str]) -> None:
    backend = answered(text, finish_reason=finish_reason, calibration=FITTED)
    assert [caution.kind.value for caution in Pointer(backend).count(FRAME, "mugs").cautions] == expected
    assert "LABEL_DIFFERS" in kinds(replace(FACTS, words="forks"))


@pytest.mark.parametrize(
    ("ask", "kind", "part"),
    [
        (lambda pointer: pointer.caption(FRAME), Kind.CAPTION, "describe images"),
        (lambda pointer: pointer.ask(FRAME, "What is this?"), Kind.ASK, "answer free questions"),
        (lambda pointer: pointer.count(FRAME, "mugs"), Kind.COUNT, "count objects"),
        (lambda pointer: pointer.point(FRAME, "mug"), Kind.POINT, "point at objects"),
        (lambda pointer: pointer.point_many(FRAME, ["mug"]), Kind.POINT, "point at objects"),
    ],
)
def test_a_kind_of_question_that_nobody_trained_is_refused_before_the_model_runs(ask, kind: Kind, part: str) -> None:
    backend = answered(MUG)
    ask(Pointer(backend))
    backend.training = TrainingDescription(abilities=frozenset(Kind) - {kind})
    backend.calls.clear()
    with pytest.raises(NotTrainedError, match=part) as caught:
        ask(Pointer(backend))
    assert caught.value.given == kind.value and "allenai/Molmo" in caught.value.fix
    assert backend.calls == []


def test_a_poor_picture_is_doubted_once_for_every_question_about_it() -> None:
    dark = np.zeros_like(FRAME.color)
    pointer = Pointer(answered(MUG, calibration=FITTED))
    for answer in (pointer.point(dark, "mug"), *pointer.point_many(dark, ["mug", "the mug"]), pointer.count(dark, "mug")):
        assert [caution.kind for caution in answer.cautions] == [CautionKind.POOR_IMAGE]
        assert all(math.isnan(point.confidence) for point in answer.points)


def test_a_calibration_that_relies_on_a_missing_description_is_none() -> None:
    relying = Calibration(line("distance", 1.0, 0.5), line("absent", 1.0, 0.5))
    assert kinds(FACTS, calibration=relying) == ["UNCALIBRATED"]
    assert kinds(replace(FACTS, image_distance=0.5), calibration=relying) == []


def test_a_description_of_another_model_leaves_nothing_trusted() -> None:
    """The features of the image have another length, so their distance is unknown."""
    rng = np.random.default_rng(1)
    described = TrainingDescription(familiarity=ImageFamiliarity.fit(rng.normal(size=(40, 6))))
    assert kinds(FACTS, described) == ["UNCALIBRATED"]
    assert kinds(replace(FACTS, image_distance=0.5), described) == []


def test_the_problems_of_a_count_keep_no_first_points() -> None:
    count = Pointer(Scripted(COUNTED + "2.")).count(FRAME, "mugs", max_points=1)
    assert count.problems == ("the model was stopped after 2 points",) and len(count.points) == 2
    assert Pointer(Scripted(COUNTED + "2.")).count(FRAME, "mugs").problems == ()
    assert Pointer(Scripted(COUNTED + "2.")).point(FRAME, "mugs", max_points=1).problems[-1].endswith("the first is kept")
