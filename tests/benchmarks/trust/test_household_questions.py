"""Questions about household objects: in their own words, and in words for plain shapes that fit nothing there."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.trust import household_questions as asking
from benchmarks.trust.household_questions import HELD_OUT, HOUSEHOLD, household_questions
from lab.household.scene_set import household_assets
from lab.training.shards import plain_object
from molmo_point.evaluation.trust_words import Half
from molmo_point.frame import RgbdFrame
from molmo_point.sim.tabletop.objects import SHAPES

NOUNS = ["banana", "hammer", "mug"]


def thing(noun, color, x):
    """Return an object with its name."""
    return replace(plain_object(color, "cube", x, 50), noun=noun, nouns=frozenset({noun}))


def view_of(*objects, seed=0):
    """Return a view; object k covers the k-th column of four pixels."""
    masks = np.repeat(np.arange(len(objects)), 4)[None].repeat(8, 0).astype(np.int16)
    frame = RgbdFrame.of(np.zeros((8, 4 * len(objects), 3), np.uint8))
    return asking._View(HOUSEHOLD, 1, frame, masks, list(objects), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(8))
def test_own_words_name_what_is_there_and_what_is_not(seed):
    view = view_of(thing("mug", "red", 20), thing("comb", "blue", 70), plain_object("black", "cube", 90, 50), seed=seed)
    names = {0: ("mug", "red mug", "red object"), 1: ("comb", "blue comb", "blue object")}
    questions = list(asking._own_words(view, NOUNS))
    assert len({question.words for question in questions}) == len(questions)
    assert not any(question.words.endswith(SHAPES) for question in questions)
    for question in questions:
        covered = set(view.instances[question.right_mask].tolist())
        assert covered == {k for k, fits in names.items() if question.words.removeprefix("the ") in fits}
        assert question.absent == question.detail.endswith("absent")


def test_shape_words_in_the_color_of_a_mug_fit_nothing():
    asked = {q.words: q for seed in range(30) for q in asking._shape_words(view_of(thing("mug", "red", 20), seed=seed))}
    assert all(question.absent for question in asked.values())
    assert "the red cube" in asked and "the red ball" in asked
    assert "the red cylinder" not in asked, "some people would call a mug a cylinder"
    assert any(question.detail == "shape words of another color, absent" for question in asked.values())


def test_shape_words_find_the_plain_shape_and_leave_lookalikes_alone():
    cube, gift = plain_object("red", "cube", 20, 50), thing("gift", "red", 70)
    alone = next(iter(asking._shape_words(view_of(cube))))
    assert alone.words == "the red cube" and alone.right_mask.all() and alone.detail == "shape words, there"
    both = [question.words for seed in range(20) for question in asking._shape_words(view_of(cube, gift, seed=seed))]
    assert both and "the red cube" not in both


def test_the_halves_share_plain_shapes_only():
    assets = household_assets()
    for kind in (HOUSEHOLD, HELD_OUT):
        keys = [{asset.key for asset in assets if asking._shown(asset, kind, half)} for half in (Half.DEVELOP, Half.JUDGE)]
        assert {key.split(":")[-1] for key in keys[0] & keys[1]} == set(SHAPES)
        assert min(map(len, keys)) > 10


@pytest.mark.slow
def test_rendered_scenes_ask_about_what_they_show():
    pytest.importorskip("mujoco")
    questions = list(household_questions(HELD_OUT, 3, Half.DEVELOP))
    assert len({question.scene for question in questions}) == 3
    assert {question.absent for question in questions} == {True, False}
    for question in questions:
        assert question.absent == question.detail.endswith("absent")
        assert question.right_mask.shape == question.frame.color.shape[:2]
    again = household_questions(HELD_OUT, 1, Half.DEVELOP)
    assert [each.words for each in again] == [each.words for each in questions if each.scene == asking.DEVELOP_SEED]
