"""Verdicts of hand-made answers, truth of the questions, and the command with the embedded model."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from molmo_point.cautions import Caution, CautionKind
from molmo_point.cli import main
from molmo_point.evaluation import trust_words as lists
from molmo_point.evaluation.degradations import DEGRADATIONS, STRENGTHS, degraded
from molmo_point.evaluation.labeled_view import LabeledView, ObjectName, table_view
from molmo_point.evaluation.trust_questions import (
    KINDS,
    TrustQuestion,
    fits,
    reworded,
    trust_questions,
)
from molmo_point.evaluation.trust_table import TrustAnswer, Verdict, changes, claims_of, summarize, tables
from molmo_point.evaluation.trust_words import Half
from molmo_point.frame import RgbdFrame
from molmo_point.request import PointRequest
from molmo_point.results import Found, ImagePoint, Pointing
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

INSTANCES = np.full((40, 64), -1, np.int16)
INSTANCES[:10, :10], INSTANCES[20:30, 20:30] = 0, 1
CAUTION = Caution(CautionKind.UNKNOWN_WORDS, "an unknown word")
ON, ALSO_ON, OFF = (5, 5), (25, 25), (60, 35)
"""Pixels on object 0, on object 1, and on none."""


def question(*numbers: int, words: str = "the red cube", plain: str = "") -> TrustQuestion:
    frame = RgbdFrame.of(np.zeros((40, 64, 3), np.uint8))
    return TrustQuestion("in domain", frame, words, np.isin(INSTANCES, numbers), 7, "x", plain, INSTANCES)


def pointing(
    *points: tuple[tuple[int, int], float], absent: bool = False, absent_probability: float = math.nan, cautions: int = 0
) -> Pointing:
    found = tuple(Found(ImagePoint(u, v, "cube", confidence), None) for (u, v), confidence in points)
    answer = Pointing("the red cube", "model", "", absent, found, {}, 0, "camera")
    return replace(answer, absent_probability=absent_probability, cautions=(CAUTION,) * cautions)


@pytest.mark.parametrize(
    ("meant", "answer", "verdict"),
    [
        ((0,), pointing((ON, 0.9)), Verdict.RIGHT_TRUSTED),
        ((0,), pointing((ON, 0.5)), Verdict.RIGHT_UNSURE),
        ((0,), pointing((ON, math.nan)), Verdict.RIGHT_UNSURE),
        ((0,), pointing((ON, 0.9), cautions=1), Verdict.RIGHT_CAUTIONED),
        ((0,), pointing((OFF, 0.9)), Verdict.WRONG_TRUSTED),
        ((0,), pointing((OFF, 0.5)), Verdict.WRONG_UNSURE),
        ((0,), pointing((OFF, 0.9), cautions=1), Verdict.WRONG_CAUTIONED),
        ((0,), pointing((ON, 0.9), (OFF, 0.6)), Verdict.WRONG_TRUSTED),
        ((0,), pointing((ON, 0.9), (OFF, 0.4)), Verdict.WRONG_UNSURE),
        ((0, 1), pointing((ON, 0.9), (ALSO_ON, 0.6)), Verdict.RIGHT_TRUSTED),
        ((0,), pointing(absent=True, absent_probability=0.9), Verdict.WRONG_TRUSTED),
        ((0,), pointing(absent=True, absent_probability=0.4), Verdict.WRONG_UNSURE),
        ((0,), pointing(), Verdict.WRONG_UNSURE),
        ((), pointing(absent=True, absent_probability=0.9), Verdict.RIGHT_TRUSTED),
        ((), pointing(absent=True, absent_probability=0.4), Verdict.RIGHT_UNSURE),
        ((), pointing((ON, 0.6)), Verdict.WRONG_TRUSTED),
        ((), pointing((ON, 0.6), cautions=1), Verdict.WRONG_CAUTIONED),
    ],
)
def test_the_verdict_of_an_answer(meant: tuple[int, ...], answer: Pointing, verdict: Verdict) -> None:
    assert TrustAnswer.of(question(*meant), answer).verdict is verdict


def test_objects_without_a_point_are_counted_apart() -> None:
    answer = TrustAnswer.of(question(0, 1), pointing((ON, 0.9)))
    assert (answer.right, answer.missing) == (True, 1)
    assert json.dumps(answer.to_dict(), allow_nan=False)


def test_an_answer_changes_with_the_wording_if_a_point_moves_or_vanishes() -> None:
    asked = [question(0, words=words, plain="plain") for words in ("plain", "same", "moved", "denied")]
    same, moved, denied = pointing(((6, 5), 0.9)), pointing((ALSO_ON, 0.9)), pointing(absent=True)
    answers = [TrustAnswer.of(q, p) for q, p in zip(asked, (pointing((ON, 0.9)), same, moved, denied), strict=True)]
    assert changes(answers) == {"x": [False, True, True]}


def test_points_and_denials_are_claims_and_an_answer_weighs_one() -> None:
    answers = [
        TrustAnswer.of(question(0), pointing((ON, 0.9), (OFF, 0.3))),
        TrustAnswer.of(question(0), pointing(absent=True, absent_probability=0.7)),
        TrustAnswer.of(question(0), pointing((ON, math.nan), cautions=1)),
    ]
    claims = claims_of(answers)
    assert claims.stated.tolist() == [0.9, 0.3, 0.7]
    assert claims.true.tolist() == [1, 0, 0]
    assert claims.weight.tolist() == [0.5, 0.5, 1]


def test_the_table_names_the_wrong_and_trusted_and_the_cautions() -> None:
    answers = [
        TrustAnswer.of(question(0), pointing((OFF, 0.9))),
        TrustAnswer.of(question(0), pointing((ON, 0.9))),
        TrustAnswer.of(question(0), pointing((ON, 0.9), cautions=1)),
    ]
    figures = summarize(answers)
    assert figures["kinds"]["in domain"]["wrong and trusted"]["share"] == pytest.approx(1 / 3)
    assert figures["right answers in domain that are trusted"]["share"] == 0.5
    text = tables(figures, details=True)
    assert "**33.3 %**" in text
    assert "UNKNOWN_WORDS 1" in text
    assert "in domain: x" in text


# --- Questions --------------------------------------------------------------------------------------------------


def test_words_that_people_could_dispute_are_not_asked() -> None:
    instances = np.full((60, 60), -1, np.int16)
    instances[:20, :20], instances[30:32, 30:32], instances[40:, 40:] = 0, 1, 2
    names = (ObjectName("red", "cube"), ObjectName("blue", "ball"), ObjectName("green", "egg", ("ball",)))
    view = LabeledView(np.zeros((60, 60, 3), np.uint8), instances, names)
    assert view.fitting("red", "cube") == [0]
    assert view.fitting("red", "ball") == []
    assert view.fitting("blue") is None, "too small to tell"
    assert view.fitting("green", "ball") is None, "an egg may be called a ball"
    assert view.fitting("green") == [2]


@pytest.fixture(scope="module")
def view() -> LabeledView:
    return table_view(960_000, 160, 120)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_degradation_changes_the_picture_and_the_truth_moves_along(name: str, view: LabeledView) -> None:
    for strength in STRENGTHS:
        worse, again = (degraded(view, name, strength, np.random.default_rng(5)) for _ in range(2))
        assert worse.color.dtype == np.uint8
        assert worse.color.shape == (*worse.instances.shape, 3)
        assert not np.array_equal(worse.color, view.color)
        assert np.array_equal(worse.color, again.color)
    moved = degraded(view, "upside down", 1, np.random.default_rng(5))
    assert np.array_equal(moved.instances[::-1, ::-1], view.instances)
    assert np.array_equal(moved.color[::-1, ::-1], view.color)


def test_every_wording_can_be_asked_and_keeps_its_case() -> None:
    for _, pattern in lists.SAME_MEANING:
        words = reworded(pattern, "orange", "ball")
        assert "orange" in words.lower()
        assert PointRequest(words)
    assert reworded("THE RED CUBE", "orange", "ball") == "THE ORANGE BALL"
    assert reworded("a red cube", "orange", "ball") == "an orange ball"


def test_the_halves_share_nothing() -> None:
    for entries in (lists.NOUNS, lists.NONSENSE, lists.FOREIGN_NOUNS, lists.STRANGE_ADJECTIVES, DEGRADATIONS, lists.SAME_MEANING):
        assert len(set(entries)) == len(entries)
        first, second = Half.DEVELOP.of(entries), Half.JUDGE.of(entries)
        assert not set(first) & set(second)
        assert sorted(map(str, first + second)) == sorted(map(str, Half.BOTH.of(entries)))
    assert len(lists.NOUNS) >= 60


def test_a_misspelt_word_is_none_of_the_known_words() -> None:
    rng = np.random.default_rng(0)
    for word in (*COLORS, *SHAPES) * 20:
        assert lists.misspelt(word, (*COLORS, *SHAPES), rng) not in (*COLORS, *SHAPES, f"{word}s")


WITHOUT_ARM = tuple(kind for kind in KINDS if not kind.endswith("of the arm"))


def test_the_questions_of_a_scene_follow_from_its_number_and_half_are_about_what_is_absent() -> None:
    first = list(trust_questions(960_001, Half.JUDGE, ("in domain", "wordings", "unknown words", "degradations")))
    again = list(trust_questions(960_001, Half.JUDGE, ("degradations",)))
    mine = [q for q in first if q.kind == "degradations"]
    assert [q.words for q in mine] == [q.words for q in again]
    assert all(np.array_equal(a.frame.color, b.frame.color) for a, b in zip(mine, again, strict=True))
    asked = Counter((q.kind, q.absent) for q in first)
    assert asked["in domain", True] == asked["in domain", False] > 0
    assert asked["degradations", True] == asked["degradations", False] > 0
    assert asked["unknown words", False] == 0


@pytest.mark.slow
def test_every_kind_has_questions_whose_truth_the_names_confirm() -> None:
    counts: Counter[str] = Counter()
    for scene in range(960_000, 960_004):
        for asked in trust_questions(scene):
            counts[asked.kind] += 1
            assert asked.right_mask.shape == asked.frame.color.shape[:2]
            assert PointRequest(asked.words)
    assert set(counts) == set(KINDS)


def test_what_fits_and_what_does_not_are_told_apart(view: LabeledView) -> None:
    present, absent = fits(view)
    assert all(numbers for _, _, numbers in present)
    names = {(view.objects[k].color, view.objects[k].shape) for k in view.visible}
    assert not names & {(color, shape) for color, shape, _ in absent}


# --- Command ----------------------------------------------------------------------------------------------------


def test_options_of_the_trust_evaluation_belong_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "pick", "--details"]) == 1
    assert "--details belongs to eval trust" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_writes_rows_a_diagram_and_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, plot = tmp_path / "rows.jsonl", tmp_path / "plot.png"
    argv = ["eval", "trust", "--scenes", "1", "--seed", "960001", "--half", "develop", "--json"]
    assert main([*argv, "--rows", str(rows), "--plot", str(plot)]) == 0
    figures = json.loads(capsys.readouterr().out)
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert len(lines) == figures["questions"] == sum(kind["questions"] for kind in figures["kinds"].values())
    assert {line["kind"] for line in lines} == set(WITHOUT_ARM)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert main([*argv, "--rows", str(rows)]) == 0, "its own rows may be overwritten"
