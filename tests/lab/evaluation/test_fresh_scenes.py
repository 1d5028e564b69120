"""Fresh scenes: decided by their number, of objects that training hides too, and questions that the picture answers."""

import numpy as np
import pytest

from lab.evaluation.fresh_scenes import FreshQuestion, fresh_questions


@pytest.fixture(scope="module")
def questions() -> list[FreshQuestion]:
    return list(fresh_questions(8))


def test_targets_are_where_they_are_said_to_be(questions: list[FreshQuestion]) -> None:
    checked = 0
    for question in questions:
        assert question.frame.color.shape == (480, 640, 3) and question.mask.shape == (480, 640)
        assert (question.kind == "absent") == (len(question.targets) == 0)
        for target, (u, v) in zip(question.targets, question.middles_px, strict=True):
            assert question.mask[round(float(v)), round(float(u))] == target
            checked += 1
    assert checked > 8
    assert len({question.kind for question in questions}) > 3


def test_a_scene_does_not_depend_on_how_many_there_are(questions: list[FreshQuestion]) -> None:
    again = list(fresh_questions(1))
    first = [question for question in questions if question.scene < 1]
    assert [(q.kind, q.phrase, q.targets) for q in again] == [(q.kind, q.phrase, q.targets) for q in first]
    assert all(np.array_equal(a.frame.color, b.frame.color) for a, b in zip(again, first, strict=True))
    other = [question.phrase for question in fresh_questions(1, seed=1)]
    assert other != [question.phrase for question in first]
