"""Questions and answers: the words of a question decide, alone, what a right answer is."""

import re

import numpy as np
import pytest

from molmo_point.finetuning.queries import Example, SeenObject, draw_examples, make_example
from molmo_point.points.parse import parse_answer
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

SIZE = (1000, 1000)


def random_objects(rng: np.random.Generator) -> list[SeenObject]:
    objects = []
    for _ in range(int(rng.integers(0, 8))):
        x, y = rng.uniform(0.05, 99.95, 2)
        kind = rng.random()
        if kind < 0.1:  # left the view: no name
            objects.append(SeenObject("", "", 0.0, 0.0, True))
        else:
            color, shape = str(rng.choice(list(COLORS))), str(rng.choice(SHAPES))
            objects.append(SeenObject(color, shape, float(x), float(y), kind > 0.25))
    return objects


def asked_for(prompt: str, objects: list[SeenObject]) -> set[int]:
    """Indices of the objects that the words of the prompt describe, read from the prompt alone."""
    words = [word.rstrip("s") for word in re.findall(r"[a-z]+", prompt.lower())]
    colors, shapes = [w for w in words if w in COLORS], [w for w in words if w in SHAPES]
    assert len(colors) <= 1 and len(shapes) <= 1
    return {
        i for i, o in enumerate(objects) if o.color and all(o.color == c for c in colors) and all(o.shape == s for s in shapes)
    }


DRAWS: list[tuple[list[SeenObject], Example]] = []
_rng = np.random.default_rng(12)
for _ in range(400):
    _objects = random_objects(_rng)
    DRAWS += [(_objects, example) for example in draw_examples(_objects, 3, _rng)]


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
        counting = re.match(r"how many|count", example.prompt.lower()) is not None
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
    examples = draw_examples(objects, 5, np.random.default_rng(3))
    assert len({e.prompt for e in examples}) == len(examples) == 5
    assert examples == draw_examples(objects, 5, np.random.default_rng(3))


def test_one_thing_is_asked_for_in_the_singular_and_several_are_all_answered() -> None:
    objects = [SeenObject("red", "cube", 30.0, 20.0, True), SeenObject("red", "cube", 10.0, 40.0, True)]
    rng = np.random.default_rng(0)
    one = make_example(objects[:1], "red", "cube", False, rng)
    assert one is not None
    assert one.answer == '<point x="30.0" y="20.0" alt="red cube">red cube</point>'
    for _ in range(20):
        both = make_example(objects, "red", None, False, rng)
        assert both is not None and both.targets == (1, 0)
        assert both.answer.startswith('<points x1="10.0" y1="40.0" x2="30.0" y2="20.0"')
    hidden = [*objects, SeenObject("red", "ball", 5.0, 5.0, False)]
    assert make_example(hidden, "red", None, False, rng) is None
    assert make_example(hidden, "red", "cube", False, rng) is not None
