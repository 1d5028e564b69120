"""`molmo-point taught`: what a library holds, and changes of it; after a mistake it is as it was."""

import numpy as np
import pytest
from PIL import Image

from molmo_point.model.taught.library_file import read_library
from tests.cli.teach.shown_photos import BLUE, middle_of, photo, save_photos


def test_objects_are_listed_with_words_and_views(taught, command, capsys):
    code, answer, _ = command("taught", "list", "--taught", taught)
    assert code == 0 and [each["name"] for each in answer["objects"]] == ["my mug", "spare mug"]
    assert all(each["views"] == 3 and each["categories"] == ["cup"] for each in answer["objects"])


def test_a_sheet_shows_the_pictures_of_the_views(taught, command, tmp_path):
    code, answer, _ = command("taught", "show", "my mug", "--taught", taught, "--sheet", tmp_path / "sheet.png")
    assert code == 0 and [view["origin"] for view in answer["objects"][0]["views"]] == ["IMG_0.png", "IMG_1.png", "IMG_2.png"]
    assert np.asarray(Image.open(tmp_path / "sheet.png")).std() > 10


def test_names_and_words_change(taught, command):
    assert command("taught", "rename", "my mug", "die Tasse", "--taught", taught)[0] == 0
    assert (
        command("taught", "alias", "die Tasse", "my cup", "--category", "red thing", "--remove", "cup", "--taught", taught)[0]
        == 0
    )
    known = read_library(taught).find("my cup")
    assert (known.name, known.aliases, known.categories) == ("die Tasse", ("my cup",), ("red thing",))


def test_objects_and_single_views_are_forgotten(taught, command):
    code, answer, _ = command("taught", "forget", "my mug", "--view", 2, "--taught", taught)
    assert code == 0 and answer["objects"][0]["views"] == 2
    assert [view.origin for view in read_library(taught).find("my mug").views] == ["IMG_0.png", "IMG_2.png"]
    assert command("taught", "forget", "spare mug", "--taught", taught)[1]["objects"][0]["name"] == "my mug"


def test_libraries_are_merged_into_a_new_one_or_one_that_exists(taught, command, tmp_path):
    photos = save_photos(tmp_path / "pen", BLUE, range(20, 21))
    other, both = tmp_path / "other.safetensors", tmp_path / "both.safetensors"
    command("teach", "pen", "--from", photos, "--mask", tmp_path / "pen_masks", "--taught", other)
    code, answer, _ = command("taught", "merge", taught, other, "--taught", both)
    assert code == 0 and [each["name"] for each in answer["objects"]] == ["my mug", "spare mug", "pen"]
    command("taught", "rename", "pen", "my mug", "--taught", other)
    before = taught.read_bytes()
    code, _, line = command("taught", "merge", other, "--taught", taught)
    assert code == 1 and "my mug" in line and taught.read_bytes() == before


def test_a_correction_adds_a_view_and_takes_effect(taught, command, tmp_path):
    picture, _ = photo(BLUE, 50)
    Image.fromarray(picture).save(tmp_path / "wrong.png")
    u, v = middle_of(BLUE, 50)
    words = ["--image", tmp_path / "wrong.png", "--taught", taught]
    code, answer, _ = command("taught", "correct", "my mug", "--at", f"{u},{v}", "--not-at", "300,10", *words)
    assert code == 0 and answer["object"]["views"] == 4
    assert "wrong.png" in read_library(taught).find("my mug").views[-1].origin


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list", "--taught", "missing.safetensors"], "no such file"),
        (["rename", "no such", "pen"], "no such"),
        (["rename", "my mug", "spare mug"], "spare mug"),
        (["alias", "my mug"], "words to add or to remove"),
        (["alias", "my mug", "spare mug"], "spare mug"),
        (["alias", "my mug", "--remove", "none"], "none"),
        (["forget", "no such"], "no such"),
        (["forget", "my mug", "--view", "7"], "view"),
        (["forget", "my mug", "spare mug", "--view", "1"], "one object"),
        (["merge", "missing.safetensors"], "no such file"),
        (["show", "no such"], "no such"),
        (["correct", "my mug", "--image", "photo.png"], "must be given"),
        (["correct", "my mug", "--image", "photo.png", "--at", "1"], "U,V in pixels"),
        (["correct", "my mug", "--image", "photo.png", "--at", "900,900"], "pixel of the image"),
        (["correct", "no such", "--image", "photo.png", "--at", "5,5"], "no such"),
    ],
)
def test_a_mistake_ends_in_one_line_with_the_library_as_it_was(words, told, taught, command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(BLUE, 1)[0]).save("photo.png")
    before = taught.read_bytes()
    code, answer, line = command("taught", *words)
    assert code == 1 and answer is None and told in line and line.startswith("molmo-point: ")
    assert taught.read_bytes() == before
