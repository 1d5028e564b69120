"""Colour and depth files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.camera.image_file import load_color, load_depth, load_frame
from molmo_point.errors import InputError
from molmo_point.files import write_file


def saved(path: Path, array: np.ndarray) -> Path:
    Image.fromarray(array).save(path)
    return path


def test_png_depth_is_millimetres_and_npy_is_metres(tmp_path: Path) -> None:
    raw = np.array([[0, 1234], [65535, 500]], np.uint16)
    expected = np.array([[np.nan, 1.234], [65.535, 0.5]], np.float32)
    np.testing.assert_allclose(load_depth(saved(tmp_path / "d.png", raw)), expected, rtol=1e-6)
    np.testing.assert_allclose(load_depth(tmp_path / "d.png", scale_m=0.0001), expected / 10, rtol=1e-6)
    metres = np.array([[0.0, 1.234], [np.inf, np.nan]])
    np.save(tmp_path / "d.npy", metres)
    for scale_m in (None, 0.0001):
        found = load_depth(tmp_path / "d.npy", scale_m=scale_m)
        np.testing.assert_allclose(found, [[np.nan, 1.234], [np.nan, np.nan]], rtol=1e-6)
    np.save(tmp_path / "mm.npy", raw)
    np.testing.assert_allclose(load_depth(tmp_path / "mm.npy"), expected, rtol=1e-6)


def test_colour_and_depth_are_not_taken_for_each_other(tmp_path: Path) -> None:
    color = saved(tmp_path / "c.png", np.zeros((4, 6, 3), np.uint8))
    depth = saved(tmp_path / "d.png", np.ones((4, 6), np.uint16))
    with pytest.raises(InputError, match="16-bit PNG"):
        load_depth(color)
    with pytest.raises(InputError, match="8 bits"):
        load_color(depth)


def test_grey_palette_and_alpha_images_become_rgb(tmp_path: Path) -> None:
    grey = saved(tmp_path / "g.png", np.full((4, 6), 77, np.uint8))
    assert load_color(grey).shape == (4, 6, 3) and (load_color(grey) == 77).all()
    alpha = saved(tmp_path / "a.png", np.full((4, 6, 4), 9, np.uint8))
    assert load_color(alpha).shape == (4, 6, 3)


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((4, 6, 3), np.uint8))
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / "p.jpg", exif=exif)
    assert load_color(tmp_path / "p.jpg").shape == (6, 4, 3)


def test_frame_from_files(tmp_path: Path) -> None:
    color = saved(tmp_path / "c.png", np.zeros((4, 6, 3), np.uint8))
    depth = saved(tmp_path / "d.png", np.full((4, 6), 750, np.uint16))
    (tmp_path / "k.yaml").write_text("{width: 6, height: 4, fx: 5, fy: 5, cx: 2.5, cy: 1.5}")
    frame = load_frame(color, depth, tmp_path / "k.yaml", frame="cam")
    assert frame.size_wh == (6, 4) and frame.frame == "cam" and frame.stamp_ns == color.stat().st_mtime_ns
    assert frame.depth_m[2, 2] == np.float32(0.75)
    assert load_frame(color).depth_m is None


def test_broken_intrinsics_are_named(tmp_path: Path) -> None:
    color = saved(tmp_path / "c.png", np.zeros((4, 6, 3), np.uint8))
    (tmp_path / "k.json").write_text('{"width": 6}')
    with pytest.raises(InputError, match=r"k\.json.*missing"):
        load_frame(color, None, tmp_path / "k.json")


def test_objects_in_an_array_file_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"o\.npy"):
        load_depth(tmp_path / "o.npy")


@pytest.mark.parametrize("name", ["no.png", "no.npy"])
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=name):
        load_depth(tmp_path / name)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "f"
    write_file(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(InputError, match="No space left"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
