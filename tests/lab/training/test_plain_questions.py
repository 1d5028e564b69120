"""Questions about plain shapes: the words of a question alone decide the right answer."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lab.training.questions import PLAIN_VOCABULARY, Question, draw_questions
from lab.training.referring import SeenObject
from lab.training.shards import plain_object
from molmo_point.finetuning.sample import AnswerKind
from molmo_point.points.parse import parse_answer
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

SIZE = (1000, 1000)


def random_objects(rng: np.random.Generator) -> list[SeenObject]:
    objects = []
    for _ in range(int(rng.integers(0, 8))):
        x, y = rng.uniform(0.05, 99.95, 2)
        kind = rng.random()
        found = plain_object(str(rng.choice(list(COLORS))), str(rng.choice(SHAPES)), float(x), float(y))
        objects.append(replace(found, seen=kind >= 0.1, usable=kind > 0.25))
    return objects


def asked_for(prompt: str, objects: list[SeenObject]) -> set[int]:
    """Indices of the objects that the words of the prompt describe, read from the prompt alone."""
    words = [word.rstrip("s") for word in re.findall(r"[a-z]+", prompt.lower())]
    colors, shapes = [w for w in words if w in COLORS], [w for w in words if w in SHAPES]
    assert len(colors) <= 1 and len(shapes) <= 1
    return {
        i for i, o in enumerate(objects) if o.seen and all(c in o.colors for c in colors) and all(o.noun == s for s in shapes)
    }


DRAWS: list[tuple[list[SeenObject], Question]] = []
_rng = np.random.default_rng(12)
for _ in range(400):
    _objects = random_objects(_rng)
    DRAWS += [(_objects, example) for example in draw_questions(_objects, 3, _rng, PLAIN_VOCABULARY)]


def test_answers_parse_back_to_the_objects_that_were_asked_for() -> None:
    assert len(DRAWS) > 800
    for objects, example in DRAWS:
        answer = parse_answer(f" {example.answer}", SIZE)
        assert set(example.targets) == asked_for(example.prompt, objects), example
        assert not answer.problems and not answer.truncated
        assert answer.absent == (not example.targets)
        assert len(answer.points) == len(example.targets)
        for point, index in zip(answer.points, example.targets, strict=True):
            o = objects[index]
            assert point.u == pytest.approx(o.x_percent * 10 - 0.5, abs=0.51)
            assert point.v == pytest.approx(o.y_percent * 10 - 0.5, abs=0.51)


def test_nothing_turns_on_an_object_of_which_too_little_is_seen() -> None:
    for objects, example in DRAWS:
        assert all(objects[i].usable for i in asked_for(example.prompt, objects))


def test_points_go_from_left_to_right() -> None:
    many = [(objects, e) for objects, e in DRAWS if len(e.targets) > 1]
    assert len(many) > 50
    for objects, example in many:
        x = [objects[i].x_percent for i in example.targets]
        assert x == sorted(x)


def test_counts_state_their_total_and_labels_are_words_of_the_question() -> None:
    counts = 0
    for _, example in DRAWS:
        answer = parse_answer(example.answer, SIZE)
        counting = example.kind is AnswerKind.COUNT
        assert not example.targets or counting == (re.search(r"how many|count|number of", example.prompt.lower()) is not None)
        if example.targets:
            label = answer.points[0].label
            assert label and label in example.prompt
            assert answer.stated_count == (len(example.targets) if counting else None)
            counts += counting
        else:
            assert example.answer == "There are none."
    assert counts > 50


def test_every_kind_is_drawn() -> None:
    targets = np.array([len(e.targets) for _, e in DRAWS])
    counting = np.array([e.prompt.lower().startswith(("how many", "count")) for _, e in DRAWS])
    assert 0.1 < np.mean(targets == 0) < 0.5
    assert 0.3 < np.mean(targets == 1) < 0.8
    assert np.mean(targets > 1) > 0.05
    assert 0.1 < counting.mean() < 0.4


def test_questions_about_one_image_differ() -> None:
    objects = random_objects(np.random.default_rng(2))
    examples = draw_questions(objects, 5, np.random.default_rng(3), PLAIN_VOCABULARY)
    assert len({e.prompt for e in examples}) == len(examples) == 5
    assert examples == draw_questions(objects, 5, np.random.default_rng(3), PLAIN_VOCABULARY)


def test_one_object_is_mostly_asked_for_in_the_singular_and_several_are_all_answered() -> None:
    objects = [plain_object("red", "cube", 30.0, 20.0), plain_object("red", "cube", 10.0, 40.0)]
    rng = np.random.default_rng(0)
    one = [q for _ in range(40) for q in draw_questions(objects[:1], 3, rng, PLAIN_VOCABULARY) if q.kind is AnswerKind.POINTS]
    assert {q.answer for q in one} >= {'<point x="30.0" y="20.0" alt="red cube">red cube</point>'}
    assert 0.7 < np.mean([not q.phrase.endswith("s") for q in one]) < 1
    both = [q for _ in range(40) for q in draw_questions(objects, 3, rng, PLAIN_VOCABULARY) if q.kind is AnswerKind.POINTS]
    assert both and {q.targets for q in both} == {(1, 0)}
    assert all(q.answer.startswith('<points x1="10.0" y1="40.0" x2="30.0" y2="20.0"') for q in both)


def test_most_absent_objects_resemble_one_in_view_and_named_ones_are_mentioned() -> None:
    rng = np.random.default_rng(1)
    seen = [plain_object("red", "cube", 30.0, 40.0), plain_object("blue", "ball", 60.0, 40.0)]
    questions = [q for _ in range(300) for q in draw_questions(seen, 4, rng, PLAIN_VOCABULARY)]
    absent = [q.phrase.split() for q in questions if q.kind is AnswerKind.ABSENT]
    alike = sum(bool({word.rstrip("s") for word in words} & {"red", "blue", "cube", "ball"}) for words in absent)
    assert alike > 2 * (len(absent) - alike) > 0
    for question in questions:
        if question.kind is AnswerKind.POINTS:
            ((words, targets),) = question.mentions
            assert words in question.prompt and set(targets) == set(question.targets)
