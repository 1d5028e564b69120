"""Questions about foreign pictures: found by name and SHA-256, boxes become masks, halves share no place."""

from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from benchmarks.photographs.benchmark import Photograph
from benchmarks.trust import photograph_questions as asking
from benchmarks.trust.photograph_questions import LabeledPicture, find_pictures, labeled_pictures, photograph_questions
from molmo_point.errors import InputError
from molmo_point.evaluation.trust_words import Half

CUP = {"cup": ((10.0, 5.0), (30.0, 5.0), (30.0, 25.0), (10.0, 25.0)), "dot": ((40.0, 10.0), (50.0, 20.0))}


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(asking.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(asking, "DEBIAN", tmp_path / "no such folder")


def made_up(folder, shade=90):
    """Write a picture and return it with its boxes."""
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (60, 40), (shade, 80, 70)).save(folder / "table.png")
    digest = sha256((folder / "table.png").read_bytes()).hexdigest()
    asked = {"cup": ("cup",), "blue ball": ("dot",), "objects": ("cup", "dot"), "mug": (), "red cube": ()}
    return LabeledPicture(Photograph("table.png", (60, 40), "a test", CUP, asked, {}, digest), asking.PHOTOGRAPH, 7)


def test_boxes_and_discs_become_the_right_pixels(tmp_path):
    picture = made_up(tmp_path / "deep")
    questions = {each.words: each for each in photograph_questions(find_pictures([picture], [tmp_path]))}
    assert questions["the cup"].right_mask[15, 20] and not questions["the cup"].right_mask[15, 45]
    assert questions["the objects"].right_mask[15, [20, 45]].all()
    assert questions["the blue ball"].detail == "shape words, there" and questions["the cup"].detail == "everyday words, there"
    assert questions["the red cube"].absent and questions["the red cube"].detail == "shape words, absent"
    assert questions["the mug"].absent and questions["the mug"].detail == "everyday words, absent"
    assert {each.scene for each in questions.values()} == {7}


def test_another_picture_of_the_same_name_is_not_taken(tmp_path):
    picture = made_up(tmp_path / "a")
    made_up(tmp_path / "b", shade=91)
    with pytest.raises(InputError):
        find_pictures([picture], [tmp_path / "b"])
    assert find_pictures([picture], [tmp_path]) == {picture: tmp_path / "a" / "table.png"}


def test_without_pictures_one_line_says_what_to_install(tmp_path):
    with pytest.raises(InputError, match="pip install scikit-image"):
        find_pictures([made_up(tmp_path / "a")], [tmp_path / "empty"])


def test_the_committed_boxes_are_inside_their_pictures_and_cover_less_than_them():
    pictures = labeled_pictures()
    assert len(pictures) == len({each.photo.sha256 for each in pictures}) >= 50
    for picture in pictures:
        photo, (width, height) = picture.photo, picture.photo.size_wh
        assert any(photo.asked.values()) and not all(photo.asked.values()), photo.file
        for fits in photo.asked.values():
            mask = asking._mask(photo, fits)
            assert mask.shape == (height, width) and mask.any() == bool(fits)
            assert mask.mean() < 0.9, photo.file


def test_the_halves_are_of_similar_size_and_share_no_place():
    halves = [labeled_pictures(half) for half in (Half.DEVELOP, Half.JUDGE)]
    assert sum(map(len, halves)) == len(labeled_pictures())
    assert min(map(len, halves)) > 20
    assert not {each.scene for each in halves[0]} & {each.scene for each in halves[1]}


def test_views_of_one_room_are_in_one_half():
    room = [each for each in labeled_pictures() if each.photo.file.startswith("views/room")]
    assert len(room) > 1 and len({each.half for each in room}) == len({each.scene for each in room}) == 1


def test_boxes_discs_and_polygons_are_read():
    assert asking._outline([2, 3, 10, 20]) == ((2, 3), (10, 3), (10, 20), (2, 20))
    assert asking._outline([50, 40, 10]) == ((40, 30), (60, 50))
    assert asking._outline([[1, 2], [9, 2], [5, 8]]) == ((1, 2), (9, 2), (5, 8))


def test_real_photographs_are_found(monkeypatch):
    monkeypatch.undo()
    pytest.importorskip("skimage", reason="scikit-image, which carries the photographs, is not installed")
    found = find_pictures([each for each in labeled_pictures() if "scikit-image" in each.photo.source])
    assert len(found) >= 5
    for question in photograph_questions(found):
        assert question.right_mask.shape == question.frame.color.shape[:2]
        assert np.ptp(question.frame.color) > 0
