"""Frames out of photographs, folders, videos and recordings, with what is wrong in them."""

import numpy as np
import pytest
from PIL import Image

from molmo_point.camera.recording import RecordingWriter
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.teaching.source_frames import frames_of, object_folders, photographs_of
from molmo_point.viz.video import write_video

SIZE_HW = (48, 64)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*SIZE_HW, 3), dtype=np.uint8)


def save(path, seed: int = 0, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path, **options)


def origins(*sources, views: int = 5) -> list[str]:
    return [found.origin for found in frames_of(sources, views)]


def test_photographs_of_a_folder_come_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 1):
        save(tmp_path / f"IMG_{number}.jpg", number)
    (tmp_path / "notes.txt").write_text("no picture")
    save(tmp_path / ".hidden.jpg")
    assert origins(tmp_path) == ["IMG_1.jpg", "IMG_9.jpg", "IMG_10.jpg"]
    assert [found.share for found in frames_of([tmp_path], 5)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert len(photographs_of([tmp_path, tmp_path / "IMG_1.jpg"])) == 4


def test_a_photograph_is_turned_upright_as_it_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "turned.jpg", exif=exif)
    (found,) = frames_of([tmp_path], 5)
    assert found.frame.color.shape == (64, 48, 3)


def test_a_broken_picture_and_one_of_another_format_are_named_among_good_ones(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"broken")
    (tmp_path / "c.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    good, broken, foreign = frames_of([tmp_path], 5)
    assert good.frame is not None and broken.frame is None and foreign.frame is None
    assert "b.jpg" in broken.problem.given and foreign.problem.fix == "convert it to JPEG or PNG"


def test_a_picture_named_color_finds_its_depth_and_intrinsics(tmp_path):
    save(tmp_path / "color.jpg")
    Image.fromarray(np.full(SIZE_HW, 700, np.uint16)).save(tmp_path / "depth.png")
    (found,) = frames_of([tmp_path], 5)
    assert found.frame.depth_m is not None and found.frame.intrinsics is None
    (tmp_path / "intrinsics.json").write_text('{"width": 64, "height": 48, "fx": 60, "fy": 60, "cx": 31.5, "cy": 23.5}')
    (found,) = frames_of([tmp_path], 5)
    assert found.frame.intrinsics.fx == 60 and float(np.nanmax(found.frame.depth_m)) == pytest.approx(0.7)


def test_a_long_recording_is_thinned_out_over_its_whole_length(tmp_path):
    with RecordingWriter(tmp_path / "run") as writer:
        for number in range(60):
            writer.write(RgbdFrame(picture(number), None, None, stamp_ns=1 + number * 100_000_000))
    found = list(frames_of([tmp_path / "run"], 1))
    assert 6 <= len(found) <= 9 and found[-1].share > 0.8
    assert found[0].origin == "run at 0.0 s" and all(each.frame is not None for each in found)
    assert len(origins(tmp_path / "run", views=50)) == 20, "three frames at 10 Hz are a quarter of a second"
    assert photographs_of([tmp_path / "run"]) == []


def test_a_video_gives_its_frames(tmp_path):
    pytest.importorskip("av")
    write_video(tmp_path / "clip.mp4", [picture(k) for k in range(20)], 10.0)
    assert origins(tmp_path / "clip.mp4")[0] == "clip.mp4 at 0.0 s"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nothing.jpg", "nothing.jpg"),
        ("nothing", "must exist"),
        ("simulated:3", "must be a file"),
        ("empty", "must hold photographs"),
        ("notes.txt", "must be one of"),
    ],
)
def test_a_source_that_is_none_is_refused_in_one_line(tmp_path, source, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no picture")
    given = source if source.startswith("simulated") else tmp_path / source
    with pytest.raises(InputError, match=words):
        for found in frames_of([given], 5):
            raise found.problem or AssertionError("a frame")


def test_folders_of_photographs_are_named_after_their_objects(tmp_path):
    save(tmp_path / "my_mug" / "1.jpg")
    save(tmp_path / "Becher blau" / "1.png")
    (tmp_path / "nothing").mkdir()
    assert {name: path.name for name, path in object_folders(tmp_path).items()} == {
        "Becher blau": "Becher blau",
        "my mug": "my_mug",
    }
    with pytest.raises(InputError, match="--folders"):
        list(frames_of([tmp_path], 5))
    save(tmp_path / "my mug" / "1.jpg")
    with pytest.raises(InputError, match="another object"):
        object_folders(tmp_path)
    with pytest.raises(InputError, match="must hold folders"):
        object_folders(tmp_path / "nothing")
