"""Questions about household scenes: every kind, right by the truth, in many wordings."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lab.household.colors import PAINTS
from lab.training.questions import TOPICS, Question, Vocabulary, draw_questions
from lab.training.referring import SeenObject
from lab.training.wordings import CATEGORY_WORDS, plural
from molmo_point.points.parse import parse_answer

NOUNS = {"mug": "dishes", "bowl": "dishes", "apple": "fruit", "banana": "fruit", "hammer": "tools", "fork": "cutlery"}
VOCABULARY = sorted(NOUNS)
WORDS = Vocabulary(tuple(VOCABULARY))


def scene(rng: np.random.Generator, count: int, held_out: bool = False) -> list[SeenObject]:
    things = []
    for _ in range(count):
        noun, color = str(rng.choice(VOCABULARY)), str(rng.choice(["red", "blue", "green"]))
        x, depth = float(rng.uniform(5, 95)), float(rng.uniform(0.4, 1.0))
        things.append(
            SeenObject(
                noun=noun,
                nouns=frozenset({noun}),
                doubtful=frozenset(),
                category=NOUNS[noun],
                categories=frozenset({NOUNS[noun]}),
                colors=frozenset({color}),
                maybe_colors=frozenset({color}),
                x_percent=x,
                y_percent=float(rng.uniform(5, 95)),
                left_percent=x - 3,
                right_percent=x + 3,
                depth_m=depth,
                position_m=(x / 100, depth, 0.03),
                size_m=(0.05, 0.05, float(rng.uniform(0.03, 0.2))),
                edge_m=float(rng.uniform(0.05, 0.6)),
                held_out=held_out,
            )
        )
    return things


def drawn(
    kinds: dict[str, float] | None = None, scenes: int = 120, held_out: bool = False
) -> list[tuple[list[SeenObject], Question]]:
    rng = np.random.default_rng(2)
    found = []
    for _ in range(scenes):
        things = scene(rng, int(rng.integers(1, 10)), held_out)
        found += [(things, question) for question in draw_questions(things, 5, rng, replace(WORDS, topics=kinds or TOPICS))]
    return found


ALL = drawn()


def test_answers_are_what_the_parser_reads_back() -> None:
    for things, question in ALL:
        answer = parse_answer(question.answer, (1000, 1000))
        assert len(answer.points) == len(question.targets)
        assert answer.absent == (not question.targets)
        for point, index in zip(answer.points, question.targets, strict=True):
            assert point.u + 0.5 == pytest.approx(things[index].x_percent * 10, abs=0.51)
            assert point.v + 0.5 == pytest.approx(things[index].y_percent * 10, abs=0.51)
        assert question.phrase in question.prompt


def test_every_kind_comes_up_about_as_often_as_it_should() -> None:
    kinds = [question.topic for _, question in ALL]
    assert set(kinds) == set(TOPICS)
    for kind, share in TOPICS.items():
        assert 0.4 * share < kinds.count(kind) / len(kinds) < 2.5 * share, kind
    assert len({question.prompt for _, question in ALL}) > 0.8 * len(ALL) > 400


def test_names_and_colours_point_at_all_that_fit_and_nothing_else() -> None:
    checked = 0
    for things, question in ALL:
        words = set(question.phrase.split())
        nouns = [n for n in VOCABULARY if n in words or plural(n) in words]
        colors = [c for c in PAINTS if c in words]
        assert len(nouns) == 1 or question.topic != "name"
        if question.topic in ("name", "color_name", "count", "absent") and len(nouns) == 1:
            fitting = {i for i, t in enumerate(things) if t.noun == nouns[0] and (not colors or colors[0] in t.colors)}
            assert set(question.targets) == fitting, question
            checked += 1
    assert checked > 200


def test_counts_say_how_many_and_absent_says_none() -> None:
    for _, question in ALL:
        if question.topic == "absent":
            assert question.targets == () and question.answer == "There are none."
        elif question.topic == "count" and question.targets:
            assert question.answer.endswith(f"shows a total of {len(question.targets)}.")
        else:
            assert question.answer.startswith(("<point", "There are none."))


def test_relations_and_superlatives_hold() -> None:
    held = 0
    for things, question in drawn({"relation": 0.5, "superlative": 0.5}):
        target = things[question.targets[0]]
        if match := re.search(r"(left|right) of the (?:(\w+) )?(\w+)$", question.phrase):
            side, color, noun = match.groups()
            (anchor,) = [t for t in things if t.noun == noun and color in (None, *t.colors)]
            assert (target.x_percent < anchor.x_percent) == (side == "left")
            held += 1
        if re.match(r"tallest (object|thing|item)$", question.phrase):
            assert target.size_m[2] == max(t.size_m[2] for t in things)
            held += 1
        if re.match(r"(object|thing|item) closest to the camera$", question.phrase):
            assert target.depth_m == min(t.depth_m for t in things)
            held += 1
    assert held > 20


def test_unseen_things_are_asked_for_by_colour_and_category_alone() -> None:
    found = drawn({"unseen": 1.0}, held_out=True)
    asked = [(things, q) for things, q in found if q.topic == "unseen"]
    assert len(asked) > 50
    for things, question in asked:
        (index,) = question.targets
        color, _, rest = question.phrase.partition(" ")
        assert color in things[index].colors
        assert any(rest in words for words in CATEGORY_WORDS[things[index].category])
    assert not [q for _, q in drawn({"unseen": 1.0}) if q.topic == "unseen"]


def test_nothing_in_view_leaves_only_absence() -> None:
    questions = draw_questions([], 5, np.random.default_rng(0), WORDS)
    assert len(questions) == 5 and {q.topic for q in questions} == {"absent"}


def test_mentions_stand_in_the_prompt_and_fit_what_they_name() -> None:
    named = [(things, question) for things, question in ALL if question.mentions]
    assert {"name", "color_name", "category", "relation", "count"} <= {question.topic for _, question in named}
    for things, question in named:
        for words, indices in question.mentions:
            assert words in question.prompt and indices
            noun = next((noun for noun in VOCABULARY if words.endswith((noun, plural(noun)))), None)
            if noun is not None:
                assert {things[index].noun for index in indices} == {noun}
        if question.topic == "relation":
            # What stands beside is not what it stands beside.
            assert not {index for _, indices in question.mentions for index in indices} & set(question.targets)
        elif question.topic == "name":
            assert question.mentions == ((question.phrase, question.mentions[0][1]),)
            assert set(question.mentions[0][1]) == set(question.targets)
    assert not any(question.mentions for _, question in ALL if not question.targets)
