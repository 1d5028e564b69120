"""`molmo-point teach`: from photographs and a camera to a library, and every mistake in one line with the library as before."""

import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.camera import registry
from molmo_point.cli import main
from molmo_point.cli.teach import showing
from molmo_point.model.taught.library_file import read_library
from tests.cli.teach.scripted_camera import SCRIPTED
from tests.cli.teach.shown_photos import BLUE, RED, middle_of, photo, save_photos


@pytest.fixture
def scripted(monkeypatch):
    """Registers a scripted camera, and shortens the pauses between its frames."""
    monkeypatch.setitem(registry.CAMERAS, SCRIPTED.name, SCRIPTED)
    monkeypatch.setattr(showing, "_LOOK_S", 0.0)
    monkeypatch.setattr(showing, "_TURN_S", 0.0)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return save_photos(tmp_path / "pen", BLUE, range(20, 22))


def masked(folder: Path) -> list[object]:
    return ["--from", folder, "--mask", folder.with_name(f"{folder.name}_masks")]


def test_an_object_of_photographs_is_pointed_at_by_its_name(shown, command, tmp_path):
    picture, mask = photo(RED, 77, others=1)
    Image.fromarray(picture).save(tmp_path / "asked.png")
    library = shown / "taught.safetensors"
    code, answer, _ = command("point", "my mug", "--model", "none", "--image", tmp_path / "asked.png", "--taught", library)
    (point, *_) = answer["points"]
    assert code == 0 and mask[round(point["v"]), round(point["u"])]


def test_the_report_tells_what_was_learnt_and_how_to_use_it(taught, photos, command, tmp_path):
    sheet = tmp_path / "sheet.png"
    words = ["--alias", "my pen", "--category", "blue thing", "--taught", taught, "--sheet", sheet]
    code, answer, _ = command("teach", "der Stift", *masked(photos), *words)
    (known,) = answer["objects"]
    assert code == 0 and known["learnt"] and known["views"] == 2 and known["refused"] == []
    assert (known["aliases"], known["categories"]) == (["my pen"], ["blue thing"]) and known["advice"]
    assert known["command"] == f"molmo-point point 'der Stift' --taught {taught} --image {photos / 'IMG_20.png'}"
    assert answer["known"] == 3 and answer["files"] == [str(sheet)]
    assert read_library(taught).names == ("my mug", "spare mug", "der Stift")
    assert (np.asarray(Image.open(sheet).convert("RGB")) == (0, 205, 140)).all(-1).sum() > 500, "outlines are drawn"


@pytest.mark.slow
def test_lines_for_people_end_with_the_command_to_use(taught, photos, capsys):
    words = [*masked(photos), "--taught", taught]
    assert main([str(word) for word in ("teach", "pen", *words)]) == 0
    out, err = capsys.readouterr()
    assert "learnt   pen: 2 views" in out and "use it   molmo-point point pen --taught" in out
    assert "IMG_20.png: view 1 of 2" in err


def test_unusable_pictures_are_named_and_the_good_ones_are_used(taught, photos, command):
    (photos / "IMG_22.jpg").write_bytes(b"broken")
    (photos / "IMG_23.heic").write_bytes(b"\0\0\0\x18ftypheic")
    Image.fromarray(photo(BLUE, 24)[0]).save(photos / "IMG_24.png")
    code, answer, _ = command("teach", "pen", *masked(photos), "--taught", taught)
    (known,) = answer["objects"]
    reasons = {each["origin"]: each["reason"] for each in known["refused"]}
    assert code == 0 and known["views"] == 2
    assert reasons == {"IMG_22.jpg": "UNREADABLE", "IMG_23.heic": "UNREADABLE", "IMG_24.png": "UNMARKED"}


def test_views_are_added_to_an_object_only_if_asked(taught, photos, command):
    before = taught.read_bytes()
    code, _, line = command("teach", "my mug", *masked(photos), "--taught", taught)
    assert code == 1 and "my mug" in line and taught.read_bytes() == before
    code, _, line = command("teach", "no such", *masked(photos), "--taught", taught, "--add")
    assert code == 1 and "no such" in line and taught.read_bytes() == before
    (photos / "IMG_21.png").unlink()
    code, answer, _ = command("teach", "my mug", *masked(photos), "--taught", taught, "--add")
    assert code == 0 and answer["objects"][0]["views"] == 4


def test_folders_teach_an_object_each_and_tell_which_was_not_learnt(tmp_path, photos, command):
    for name in ("my_pen", "nothing"):
        (tmp_path / "all" / name).mkdir(parents=True)
    for path in photos.iterdir():
        shutil.copy(path, tmp_path / "all" / "my_pen")
    (tmp_path / "all" / "nothing" / "1.png").write_bytes(b"broken")
    code, answer, _ = command("teach", "--folders", tmp_path / "all", "--taught", tmp_path / "new.safetensors")
    assert code == 1 and [(each["name"], each["learnt"]) for each in answer["objects"]] == [("my pen", True), ("nothing", False)]
    assert read_library(tmp_path / "new.safetensors").names == ("my pen",)


def test_of_two_objects_none_is_guessed_and_a_click_chooses(tmp_path, command):
    Image.fromarray(photo(RED, 31, others=1)[0]).save(tmp_path / "two.png")
    library = tmp_path / "new.safetensors"
    code, _, line = command("teach", "my mug", "--image", tmp_path / "two.png", "--taught", library)
    assert code == 1 and "--click" in line and not library.exists()
    u, v = middle_of(RED, 31)
    code, answer, _ = command("teach", "my mug", "--image", tmp_path / "two.png", "--click", f"{u},{v}", "--taught", library)
    assert code == 0 and answer["objects"][0]["views"] == 1 and library.exists()


@pytest.mark.slow
def test_a_view_that_is_seen_twice_counts_once(tmp_path, photos, command):
    shutil.copy(photos / "IMG_20.png", photos / "IMG_19.png")
    masks = photos.with_name("pen_masks")
    shutil.copy(masks / "IMG_20.png", masks / "IMG_19.png")
    code, answer, _ = command("teach", "pen", *masked(photos), "--taught", tmp_path / "new.safetensors")
    assert code == 0 and [each["reason"] for each in answer["objects"][0]["refused"]] == ["SAME_VIEW"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["teach", "", "--from", "photos"], "must not be empty"),
        (["teach", "the", "--from", "photos"], "word with a meaning"),
        (["teach", "--from", "photos"], "NAME must be given"),
        (["teach", "pen"], "must be given"),
        (["teach", "pen", "--from", "photos", "--camera", "realsense"], "choose one source"),
        (["teach", "pen", "--from", "missing"], "must exist"),
        (["teach", "pen", "--from", "photos", "--click", "1,2"], "one for each picture"),
        (["teach", "pen", "--from", "photos", "--click", "a,b", "--click", "1,2"], "U,V in pixels"),
        (["teach", "pen", "--from", "photos", "--mask", "photos", "--click", "1,2"], "One way"),
        (["teach", "pen", "--from", "photos", "--mask", "photos/IMG_20.png"], "one for each"),
        (["teach", "pen", "--from", "photos", "--empty"], "must name a picture"),
        (["teach", "pen", "--folders", "photos"], "leave it out"),
        (["teach", "pen", "--from", "photos", "--taught", "photos/IMG_20.png"], "library of taught objects"),
        (["teach", "pen", "--from", "photos", "--taught", "missing/taught.safetensors"], "must be writable"),
        (["teach", "pen", "--from", "photos", "--sheet", "photos/IMG_20.png"], "must not overwrite"),
    ],
)
def test_a_mistake_ends_in_one_line_before_anything_is_written(words, told, photos, command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    photos.rename(tmp_path / "photos")
    code, answer, line = command(*words)
    assert code == 1 and answer is None and told in line and line.startswith("molmo-point: ")
    assert not (tmp_path / "taught.safetensors").exists()


@pytest.mark.slow
def test_a_camera_teaches_by_itself_and_repeated_views_end_at_the_timeout(scripted, taught, command):
    code, answer, _ = command("teach", "pen", "--camera", "scripted", "--views", 3, "--taught", taught)
    assert code == 0 and answer["objects"][0]["views"] == 3 and "--camera scripted" in answer["objects"][0]["command"]
    before = taught.read_bytes()
    code, _, line = command("teach", "cup", "--camera", "scripted", "--views", 4, "--timeout", 0.2, "--taught", taught)
    assert code == 1 and "3 of 4" in line and "--views 3" in line and taught.read_bytes() == before


@pytest.mark.parametrize(("end", "expected", "told"), [("stops", 1, "camera"), ("interrupt", 130, "interrupted")])
def test_a_camera_that_stops_and_ctrl_c_leave_the_library_as_it_was(scripted, taught, command, end, expected, told):
    before = taught.read_bytes()
    code, answer, line = command("teach", "pen", "--camera", f"scripted:{end}", "--taught", taught)
    assert code == expected and answer is None and told in line and taught.read_bytes() == before
    assert [path.name for path in taught.parent.iterdir()] == [taught.name]


def test_a_full_disk_leaves_the_library_as_it_was(taught, photos, command):
    (photos / "IMG_21.png").unlink()
    before = taught.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        code, _, line = command("teach", "pen", *masked(photos), "--taught", taught)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 1 and "must be writable" in line and taught.read_bytes() == before
    assert not list(taught.parent.glob(".*.part*"))


@pytest.mark.slow
def test_keys_of_a_terminal_take_drop_and_end(scripted, taught, command, monkeypatch):
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        os.write(ours, b"\nu\n\n\nq\n")
        words = ["--camera", "scripted", "--views", 5, "--by-hand", "--taught", taught]
        code, answer, _ = command("teach", "pen", *words)
    os.close(ours)
    assert code == 0 and answer["objects"][0]["views"] == 2, "one taken, dropped, two taken, end"
