"""Colour and depth files."""

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.camera.image_file import ImageFiles, load_color, load_depth, load_frame
from molmo_point.errors import InputError
from molmo_point.files import write_file


def saved(path: Path, array: np.ndarray) -> Path:
    Image.fromarray(array).save(path)
    return path


def test_png_depth_is_millimetres_and_npy_is_metres(tmp_path: Path) -> None:
    raw = np.array([[0, 1234], [65535, 500]], np.uint16)
    expected = np.array([[np.nan, 1.234], [np.nan, 0.5]], np.float32)
    np.testing.assert_allclose(load_depth(saved(tmp_path / "d.png", raw)), expected, rtol=1e-6)
    np.testing.assert_allclose(load_depth(tmp_path / "d.png", scale_m=0.0001), expected / 10, rtol=1e-6)
    metres = np.array([[0.0, 1.234], [np.inf, np.nan]])
    np.save(tmp_path / "d.npy", metres)
    for scale_m, scale in ((None, 1.0), (0.001, 0.001)):
        found = load_depth(tmp_path / "d.npy", scale_m=scale_m)
        np.testing.assert_allclose(found, np.array([[np.nan, 1.234], [np.nan, np.nan]]) * scale, rtol=1e-6)
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


STORED = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3
UPRIGHT = {
    1: STORED,
    2: STORED[:, ::-1],
    3: STORED[::-1, ::-1],
    4: STORED[::-1],
    5: STORED.transpose(1, 0, 2),
    6: np.rot90(STORED, -1),
    7: np.rot90(STORED[:, ::-1], -1),
    8: np.rot90(STORED),
}


def tagged(path: Path, orientation: int, pixels: np.ndarray = STORED) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    Image.fromarray(pixels).save(path, exif=exif, **lossless)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_alone_is_upright_and_an_orientation_with_depth_or_intrinsics_is_refused(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    """Nothing tells whether depth and intrinsics belong to the stored image or to the upright one."""
    color = tagged(tmp_path / f"c{suffix}", orientation)
    np.testing.assert_array_equal(load_frame(color).color, UPRIGHT[orientation])
    np.testing.assert_array_equal(load_color(color), STORED)
    with ImageFiles(color) as camera:
        np.testing.assert_array_equal(camera.read().color, UPRIGHT[orientation])
    np.save(tmp_path / "d.npy", np.full((4, 6), 0.7, np.float32))
    (tmp_path / "k.yaml").write_text("{width: 6, height: 4, fx: 5, fy: 5, cx: 2.5, cy: 1.5}")
    for depth, intrinsics in ((tmp_path / "d.npy", None), (None, tmp_path / "k.yaml"), (tmp_path / "d.npy", tmp_path / "k.yaml")):
        with ImageFiles(color, depth=depth, intrinsics=intrinsics) as camera:
            for read in (functools.partial(load_frame, color, depth, intrinsics), camera.read):
                if orientation == 1:
                    np.testing.assert_array_equal(read().color, STORED)
                    continue
                with pytest.raises(InputError, match=f"orientation {orientation}"):
                    read()


def test_a_jpeg_photo_is_upright(tmp_path: Path) -> None:
    assert load_frame(tagged(tmp_path / "p.jpg", 6)).color.shape == (6, 4, 3)
    assert load_frame(tagged(tmp_path / "p.jpg", 9)).color.shape == (4, 6, 3)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_depth_with_an_orientation_is_refused(tmp_path: Path, suffix: str) -> None:
    raw = np.arange(24, dtype=np.uint16).reshape(4, 6) + 500
    turned = tagged(tmp_path / f"d{suffix}", 3, raw)
    np.testing.assert_allclose(load_depth(turned), raw * 1e-3, rtol=1e-6)
    with pytest.raises(InputError, match="orientation 3"):
        load_frame(tagged(tmp_path / "c.png", 1), turned)


def test_settings_that_would_be_ignored_or_never_end_are_refused(tmp_path: Path) -> None:
    color = tagged(tmp_path / "c.png", 1)
    with pytest.raises(InputError, match="depth-scale"):
        load_frame(color, depth_scale_m=0.001)
    for fps in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="fps"):
            ImageFiles(color, fps=fps)


GRAY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(GRAY), GRAY),
        (Image.fromarray(GRAY > 100), (GRAY > 100) * np.uint8(255)),
        (Image.fromarray(STORED).quantize(64), None),
        (Image.fromarray(np.dstack([GRAY, GRAY * 0])), GRAY),
        (Image.fromarray(np.dstack([STORED, GRAY])), STORED),
        (Image.fromarray(STORED).convert("CMYK"), STORED),
    ],
    ids=["gray", "one bit", "palette", "gray and alpha", "alpha", "cmyk"],
)
def test_pictures_of_other_modes_are_the_picture(tmp_path: Path, image: Image.Image, expected: np.ndarray | None) -> None:
    path = tmp_path / "c.tif"
    image.save(path)
    expected = STORED if expected is None else expected if expected.ndim == 3 else np.dstack([expected] * 3)
    np.testing.assert_allclose(load_color(path).astype(int), expected, atol=2)


@pytest.mark.parametrize(
    "pixels", [GRAY.astype(np.int32) * 65536, GRAY.astype(np.float32) / 255, GRAY.astype(np.uint16) * 257, GRAY.astype(np.int32)]
)
def test_a_picture_of_more_than_8_bits_is_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    """It was all white or all black."""
    with pytest.raises(InputError, match="8 bits"):
        load_color(saved(tmp_path / "c.tif", pixels))


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    first, second = Image.fromarray(STORED), Image.fromarray(255 - STORED)
    first.save(tmp_path / "c.png", save_all=True, append_images=[second])
    np.testing.assert_array_equal(load_color(tmp_path / "c.png"), STORED)


@pytest.mark.parametrize(
    ("array", "meters"),
    [
        (np.full((4, 6), 1500, np.uint16), 1.5),
        (np.full((4, 6, 1), 1500, np.int32), 1.5),
        (np.full((4, 6), 1500, ">u2"), 1.5),
        (np.full((4, 6), 1500, np.int64, order="F"), 1.5),
        (np.full((4, 6), 1.5, np.float16), 1.5),
        (np.full((4, 6, 1), 1.5, ">f8"), 1.5),
        (np.full((4, 6), 1e300), np.nan),
        (np.full((4, 6), 1e-300), np.nan),
        (np.full((4, 6), -5, np.int16), None),
        (np.full((4, 6), 9, np.uint8), None),
        (np.full((4, 6), True), None),
        (np.full((4, 6, 3), 1500, np.uint16), 1.5),
        (np.arange(72, dtype=np.uint16).reshape(4, 6, 3) + 500, None),
        (np.full((1, 4, 6), 1.5, np.float32), 1.5),
        (np.full((4, 6), 1j), None),
        (np.full(24, 1.5), None),
    ],
)
def test_arrays_of_depth_of_every_type(tmp_path: Path, array: np.ndarray, meters: float | None) -> None:
    np.save(tmp_path / "d.npy", array)
    if meters is None:
        with pytest.raises(InputError, match=r"d\.npy"):
            load_depth(tmp_path / "d.npy")
        return
    np.testing.assert_allclose(load_depth(tmp_path / "d.npy"), np.full((4, 6), meters), rtol=1e-6)


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


def test_of_several_pages_none_is_chosen(tmp_path: Path) -> None:
    depth = [Image.fromarray(np.full((4, 6), number, np.uint16)) for number in (500, 700)]
    depth[0].save(tmp_path / "d.tif", save_all=True, append_images=depth[1:])
    color = [Image.fromarray(np.full((4, 6, 3), number, np.uint8)) for number in (50, 70)]
    color[0].save(tmp_path / "c.tif", save_all=True, append_images=color[1:])
    for load, name in ((load_depth, "d.tif"), (load_color, "c.tif")):
        with pytest.raises(InputError, match=f"{name}.*2 pages"):
            load(tmp_path / name)
    depth[0].save(tmp_path / "d.tif")
    assert load_depth(tmp_path / "d.tif")[0, 0] == np.float32(0.5)


@pytest.mark.parametrize("name", ["d.jp2"])
def test_depth_in_a_format_that_is_stretched_is_refused(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.full((16, 16), 500, np.uint16)).save(tmp_path / name)
    with pytest.raises(InputError, match="no PNG or TIFF"):
        load_depth(tmp_path / name)


def test_an_array_with_bytes_left_over_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.full((4, 6), 0.5, np.float32))
    data = (tmp_path / "d.npy").read_bytes()
    for damaged in (data + data, data.replace(b"<f4", b"<f2"), data + b"0"):
        (tmp_path / "d.npy").write_bytes(damaged)
        with pytest.raises(InputError, match="promises"):
            load_depth(tmp_path / "d.npy")
