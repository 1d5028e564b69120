"""Annotations as prompts and answers: Molmo's rounding, order, styles and hints."""

import re
from collections import Counter

import numpy as np
import pytest

from molmo_point.finetuning.labels.formats import Answered, Caption, Explanation, PointLabels
from molmo_point.finetuning.labels.wording import caption_examples, example_of, hinted, styled
from molmo_point.finetuning.sample import AnswerKind
from molmo_point.points.parse import parse_answer


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_points_are_sorted_rounded_and_either_pointed_at_or_counted() -> None:
    points = PointLabels("mugs", np.array([[60.06, 10.0], [5.05, 20.25], [60.06, 9.0]]), 3)
    examples = [example_of(points, rng(seed)) for seed in range(200)]
    tag = '<points x1="5.0" y1="20.2" x2="60.1" y2="9.0" x3="60.1" y3="10.0" alt="mugs">mugs</points>'
    assert {e.answer for e in examples} == {tag, f"Counting the {tag} shows a total of 3."}
    kinds = Counter(e.kind for e in examples)
    assert set(kinds) == {AnswerKind.POINTS, AnswerKind.COUNT} and 70 < kinds[AnswerKind.COUNT] < 130
    for example in examples:
        assert "mugs" in example.prompt
        assert re.match(r"(pointing|point_count): ", example.prompt) is None or ("count" in example.prompt) == (
            example.kind is AnswerKind.COUNT
        )
    prefixed = sum(e.prompt.startswith(("pointing: ", "point_count: ")) for e in examples)
    assert 5 < prefixed < 40


def test_what_is_not_there_is_none_in_both_styles() -> None:
    examples = [example_of(PointLabels("cats", np.zeros((0, 2)), 0), rng(seed)) for seed in range(30)]
    assert {(e.answer, e.kind, e.percent) for e in examples} == {("There are none.", AnswerKind.ABSENT, ())}
    assert any(e.prompt.startswith("How many") for e in examples) and any("oint to" in e.prompt for e in examples)


def test_a_count_without_points_is_asked_without_pointing() -> None:
    example = example_of(PointLabels("dogs", None, 4), rng())
    assert example.prompt.startswith("No pointing: ") and example.answer == "4" and example.percent is None


def test_an_explanation_gets_its_tags_in_order() -> None:
    tags = (("knob", "the knob", np.array([[10.0, 20.0]])), (r"lids\1", "both", np.array([[3.0, 4.0], [1.0, 2.0]])))
    example = example_of(Explanation("How?", "Turn the <|POINT|>, lift <|POINT|>.", tags), rng())
    assert example.prompt == "point_qa: How?"
    assert example.answer == (
        'Turn the <point x="10.0" y="20.0" alt="the knob">knob</point>, '
        r'lift <points x1="1.0" y1="2.0" x2="3.0" y2="4.0" alt="both">lids\1</points>.'
    )
    assert len(parse_answer(example.answer, (100, 100)).points) == 3


def test_styles_are_named_as_in_the_recipe() -> None:
    assert styled("Q", "vqa2", rng()) == "vqa2: Q"
    named = sum(styled("Q", "user_qa", rng(seed)) == "user_qa: Q" for seed in range(300))
    assert 15 < named < 50
    assert example_of(Answered("What colour?", "red", "vqa2"), rng()).prompt == "vqa2: What colour?"


def test_captions_come_with_a_transcript_and_a_hint_of_their_length() -> None:
    caption = Caption("x" * 600, ("said aloud",))
    long, spoken = caption_examples(caption, rng(1))
    assert (long.answer, spoken.answer) == (caption.text, "said aloud")
    assert spoken.prompt.startswith("transcript ")
    hints = [hinted("long_caption", caption.text, rng(seed)) for seed in range(300)]
    bare = hints.count("long_caption :")
    assert 15 < bare < 50
    numbers = [int(hint.split()[1][:-1]) for hint in hints if hint != "long_caption :"]
    assert abs(np.mean(numbers) - 600 / 15) < 0.6 and 1.2 < np.std(numbers) < 2.2
    assert len(caption_examples(Caption("x"), rng())) == 1
    assert example_of(caption, rng()).answer == caption.text


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_words_the_same_way_twice(seed: int) -> None:
    points = PointLabels("mugs", np.array([[1.0, 2.0]]), 1)
    assert example_of(points, rng(seed)) == example_of(points, rng(seed))
