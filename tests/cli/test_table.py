"""Answers as text: every caution in one line, and no confidence that looks like a fact under one."""

import dataclasses
import math

import pytest

from molmo_point.cautions import Caution, CautionKind
from molmo_point.cli.table import count_lines, pointing_lines
from molmo_point.results import Count, Found, ImagePoint, Pointing

MUG = Caution(CautionKind.UNKNOWN_WORDS, "scripted knows 8 colors and 4 shapes; 'mug' is none of them", ("mug",), "red cube")
FAR = Caution(CautionKind.UNFAMILIAR_IMAGE, "the image is unlike those\nof the training")
COUNT = Count("balls", "m", "t", 3, 3, (ImagePoint(1, 2, "ball", 0.4),), True, {"total": 1.0}, confidence=0.62)


def answer(confidence: float = 0.93, cautions: tuple[Caution, ...] = (), **fields) -> Pointing:
    found = (Found(ImagePoint(1.0, 2.0, "cube", confidence), None),)
    given = {"absent": False, "found": found, **fields}
    return Pointing("the mug", "scripted", "text", timing_ms={}, stamp_ns=1, frame="camera", cautions=cautions, **given)


def confidence_cell(lines: list[str]) -> str:
    row = next(line for line in lines if line.startswith("1 "))
    return row.split()[4]


def test_each_caution_is_one_line_above_the_table_with_its_suggestion():
    lines = pointing_lines(answer(cautions=(MUG, FAR)))
    told = [line for line in lines if line.startswith("caution")]
    assert told == [
        "caution UNKNOWN_WORDS: scripted knows 8 colors and 4 shapes; 'mug' is none of them; did you mean 'red cube'?",
        "caution UNFAMILIAR_IMAGE: the image is unlike those of the training",
    ]
    assert lines.index(told[1]) < next(k for k, line in enumerate(lines) if line.startswith("#"))
    assert not [line for line in pointing_lines(answer()) if "caution" in line]


@pytest.mark.parametrize(
    ("confidence", "cautions", "cell"), [(0.93, (), "93%"), (0.93, (MUG,), "(93%)"), (math.nan, (), "–"), (math.nan, (MUG,), "–")]
)
def test_the_confidence_is_in_brackets_under_caution(confidence, cautions, cell):
    assert confidence_cell(pointing_lines(answer(confidence, cautions))) == cell
    count = dataclasses.replace(COUNT, points=(ImagePoint(1, 2, "ball", confidence),), cautions=cautions)
    assert confidence_cell(count_lines(count)) == cell


def test_a_denial_says_its_probability_and_claims_nothing_under_caution():
    denied = answer(absent=True, found=(), absent_probability=0.9)
    assert "not in this image (90% sure)" in pointing_lines(denied)
    assert "not in this image" in pointing_lines(dataclasses.replace(denied, absent_probability=math.nan))
    doubtful = pointing_lines(dataclasses.replace(denied, cautions=(MUG,)))
    assert "the model sees none (90%)" in doubtful and not any("not in this image" in line for line in doubtful)
    assert "the answer holds no point" in pointing_lines(answer(found=()))


def test_a_count_says_how_sure_it_is():
    assert "count   3 (62% sure)" in count_lines(COUNT)
    assert "count   3" in count_lines(dataclasses.replace(COUNT, confidence=math.nan))
    assert "count   3 (62%)" in count_lines(dataclasses.replace(COUNT, cautions=(FAR,)))


def test_a_count_that_differs_from_its_text_is_told_once():
    differs = dataclasses.replace(COUNT, stated_count=5, consistent=False)
    assert any("a total of 5" in line for line in count_lines(differs))
    caution = Caution(CautionKind.COUNT_DIFFERS, "the text states 5, and has 1 point")
    lines = count_lines(dataclasses.replace(differs, cautions=(caution,)))
    assert [line for line in lines if "5" in line] == ["caution COUNT_DIFFERS: the text states 5, and has 1 point"]
