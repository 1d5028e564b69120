"""Questions about photographs: outlines become masks, what is missing or another picture is refused."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.photographs import benchmark as photographs
from benchmarks.photographs.benchmark import PHOTOGRAPHS, photo_questions
from molmo_point.errors import InputError


@pytest.fixture(autouse=True)
def without_scikit_image(monkeypatch):
    monkeypatch.setattr(photographs.importlib.util, "find_spec", lambda name: None)


def blank(folder, photo, size_wh=None):
    Image.new("RGB", size_wh or photo.size_wh, (90, 80, 70)).save(folder / photo.file)


def test_what_stands_in_front_covers_what_is_behind(tmp_path) -> None:
    coffee = PHOTOGRAPHS[0]
    blank(tmp_path, coffee)
    asked = {question.phrase: question for question in photo_questions(tmp_path)}
    names = list(coffee.outlines)
    mask = asked["spoon"].mask
    assert mask.shape == (400, 600)
    assert names[mask[280, 365]] == "spoon" and names[mask[120, 290]] == "cup" and names[mask[330, 150]] == "plate"
    assert mask[10, 10] == -1
    assert asked["mug"].targets == asked["cup"].targets == (names.index("cup"),)
    assert asked["hammer"].kind == "absent" and asked["hammer"].targets == ()


def test_every_target_is_seen_and_counts_are_what_is_outlined(tmp_path) -> None:
    for photo in PHOTOGRAPHS:
        blank(tmp_path, photo)
    questions = list(photo_questions(tmp_path))
    assert {question.kind for question in questions} == {"photograph", "count", "absent"}
    for question in questions:
        height, width = question.mask.shape
        assert question.middles_px.shape == (len(question.targets), 2)
        assert np.all(question.middles_px >= 0) and np.all(question.middles_px < (width, height))
    red = next(question for question in questions if question.phrase == "red balls")
    assert red.kind == "count" and len(red.targets) == 4


def test_no_photographs_and_other_pictures_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="one of the photographs"):
        list(photo_questions(tmp_path))
    blank(tmp_path, PHOTOGRAPHS[1], (40, 30))
    with pytest.raises(InputError, match="another picture"):
        list(photo_questions(tmp_path))
