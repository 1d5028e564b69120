"""Scores of answers: points that are near, numbers, absences, words."""

from types import SimpleNamespace

import numpy as np
import pytest

from molmo_point.finetuning.checks import answer_scores, points_f1
from molmo_point.finetuning.sample import AnswerKind, TrainingExample, TrainingSample


def test_every_point_counts_once_and_only_when_near() -> None:
    truth = np.array([[0.0, 0.0], [10.0, 0.0]])
    assert points_f1(truth, truth, 1) == 1
    assert points_f1(truth[:1], truth, 1) == pytest.approx(2 / 3)
    assert points_f1(np.array([[0.0, 0.0], [0.5, 0.0]]), truth, 1) == pytest.approx(0.5)
    assert points_f1(truth + np.array([0, 1.1]), truth, 1) == 0
    # the nearer pair goes first: 10.4 belongs to 10, so that 5.5 is left with 0
    assert points_f1(np.array([[5.5, 0], [10.4, 0]]), truth, 6) == 1
    nothing = np.zeros((0, 2))
    assert points_f1(nothing, nothing, 1) == 1 and points_f1(nothing, truth, 1) == points_f1(truth, nothing, 1) == 0


def test_answers_are_scored_by_kind() -> None:
    answers = {
        "a": '<point x="50.0" y="50.0" alt="a">a</point>',
        "b": '<point x="90.0" y="50.0" alt="b">b</point>',
        "c": 'Counting the <points x1="1.0" y1="2.0" x2="9.0" y2="9.0" alt="c">c</points> shows a total of 2.',
        "d": "There are none.",
        "e": '<point x="9.0" y="9.0" alt="e">e</point>',
        "f": " Red.",
        "g": "blue",
    }
    here = ((50.0, 50.0),)
    examples = [
        TrainingExample("a", "", kind=AnswerKind.POINTS, percent=here),
        TrainingExample("b", "", kind=AnswerKind.POINTS, percent=here),
        TrainingExample("c", "", kind=AnswerKind.COUNT, percent=((1.0, 1.0), (2.0, 2.0))),
        TrainingExample("d", "", kind=AnswerKind.ABSENT, percent=()),
        TrainingExample("e", "", kind=AnswerKind.ABSENT, percent=()),
        TrainingExample("f", "red", kind=AnswerKind.TEXT),
        TrainingExample("g", "red", kind=AnswerKind.TEXT),
        TrainingExample("never asked", "x" * 21, kind=AnswerKind.TEXT),
        TrainingExample("never asked", "x", kind=AnswerKind.CAPTION),
    ]
    backend = SimpleNamespace(complete=lambda image, prompt, limits: SimpleNamespace(text=answers[prompt.text]))
    scores = answer_scores(backend, [TrainingSample(np.zeros((100, 200, 3), np.uint8), examples)])  # type: ignore[arg-type]
    assert scores == {"points_f1": 0.5, "count": 1.0, "absent": 0.5, "short": 0.5}
    empty = answer_scores(backend, [])  # type: ignore[arg-type]
    assert all(np.isnan(score) for score in empty.values())
