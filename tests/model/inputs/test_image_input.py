"""Every kind of image as RGB: by pixel values, and by one clear error where it cannot be."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from molmo_point.errors import InputError
from molmo_point.model.inputs.image_input import MAX_PIXELS, to_rgb

RNG = np.random.default_rng(11)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
ALPHA = RNG.integers(0, 256, (5, 7), dtype=np.uint8)


def grey3(grey: np.ndarray) -> np.ndarray:
    return np.stack([grey] * 3, axis=2)


def scaled(deep: np.ndarray) -> np.ndarray:
    return np.floor(deep / 65535 * 255 + 0.5).astype(np.uint8)


def palette(transparent: bool) -> Image.Image:
    picture = Image.fromarray(np.arange(35, dtype=np.uint8).reshape(5, 7) % 3, "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    if transparent:
        picture.info["transparency"] = 1
    return picture


PALETTE = np.array([[255, 0, 0], [0, 255, 0], [10, 20, 30]], np.uint8)[np.arange(35).reshape(5, 7) % 3]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        pytest.param(Image.fromarray(RGB), RGB, id="RGB"),
        pytest.param(Image.fromarray(np.dstack([RGB, ALPHA])), RGB, id="RGBA"),
        pytest.param(Image.fromarray(GREY), grey3(GREY), id="L"),
        pytest.param(Image.fromarray(np.dstack([GREY, ALPHA]), "LA"), grey3(GREY), id="LA"),
        pytest.param(palette(False), PALETTE, id="P"),
        pytest.param(palette(True), PALETTE, id="P-transparent"),
        pytest.param(Image.fromarray(GREY > 99), grey3(np.where(GREY > 99, 255, 0)), id="1"),
        pytest.param(
            Image.merge("CMYK", [Image.new("L", (7, 5), v) for v in (0, 255, 51, 0)]),
            np.broadcast_to([255, 0, 204], (5, 7, 3)),
            id="CMYK",
        ),
        pytest.param(Image.fromarray(DEEP), grey3(scaled(DEEP)), id="I;16"),
        pytest.param(Image.fromarray(DEEP.astype(np.int32)), grey3(scaled(DEEP)), id="I"),
        pytest.param(Image.fromarray((GREY / 255).astype(np.float32)), grey3(GREY), id="F"),
    ],
)
def test_pil_images(picture: Image.Image, expected: np.ndarray) -> None:
    ours = to_rgb(picture)
    assert ours.dtype == np.uint8 and ours.shape == (5, 7, 3)
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(RGB, RGB, id="rgb"),
        pytest.param(GREY, grey3(GREY), id="grey"),
        pytest.param(GREY[..., None], grey3(GREY), id="one-channel"),
        pytest.param(np.dstack([RGB, ALPHA]), RGB, id="rgba"),
        pytest.param(RGB[:, ::-1], RGB[:, ::-1], id="view"),
        pytest.param(DEEP, grey3(scaled(DEEP)), id="uint16"),
        pytest.param(DEEP.astype(">u2"), grey3(scaled(DEEP)), id="big-endian"),
        pytest.param(np.dstack([DEEP] * 3), grey3(scaled(DEEP)), id="uint16-rgb"),
        pytest.param(GREY > 99, grey3(np.where(GREY > 99, 255, 0)), id="bool"),
        pytest.param(RGB / 255, RGB, id="float64"),
        pytest.param((RGB / 255).astype(np.float32) * 1.0005, RGB, id="a-little-above-one"),
        pytest.param(torch.from_numpy(RGB), RGB, id="tensor"),
        pytest.param(torch.from_numpy(RGB).permute(2, 0, 1), RGB, id="tensor-chw"),
        pytest.param(torch.from_numpy(RGB / 255).permute(2, 0, 1).requires_grad_(), RGB, id="tensor-float-chw"),
        pytest.param(torch.from_numpy(GREY), grey3(GREY), id="tensor-grey"),
        pytest.param(torch.from_numpy(GREY)[None], grey3(GREY), id="tensor-1hw"),
        pytest.param(torch.ones(5, 7, 3, dtype=torch.bfloat16), np.full((5, 7, 3), 255), id="tensor-bfloat16"),
    ],
)
def test_arrays_and_tensors(array: Any, expected: np.ndarray) -> None:
    ours = to_rgb(array)
    assert ours.dtype == np.uint8 and ours.shape == (5, 7, 3)
    np.testing.assert_array_equal(ours, expected)


def test_sixteen_bits_round_to_the_nearest() -> None:
    values = np.array([[0, 128, 129, 257, 65535, 65406, 65407]], np.uint16)
    assert to_rgb(values)[0, :, 0].tolist() == [0, 0, 1, 1, 255, 254, 255]
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(to_rgb(every)[..., 0], scaled(every))


def test_files(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    Image.fromarray(DEEP).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(to_rgb(tmp_path / "a.png"), RGB)
    np.testing.assert_array_equal(to_rgb(str(tmp_path / "a.png")), RGB)
    np.testing.assert_array_equal(to_rgb(tmp_path / "deep.png"), grey3(scaled(DEEP)))
    frames = [Image.new("RGB", (4, 4), color) for color in ((255, 0, 0), (0, 0, 255))]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert to_rgb(tmp_path / "film.gif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, RGB), (3, RGB[::-1, ::-1]), (6, np.rot90(RGB, -1)), (8, np.rot90(RGB, 1)), (2, RGB[:, ::-1])],
)
def test_the_orientation_of_a_camera_is_applied(orientation: int, upright: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(to_rgb(tmp_path / "a.png"), upright)
    with Image.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(to_rgb(picture), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_no_reason_to_refuse_an_image(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    np.testing.assert_array_equal(to_rgb(tmp_path / "a.png"), RGB)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        pytest.param(None, "must be an array", id="nothing"),
        pytest.param(b"\x89PNG", "must be an array", id="bytes"),
        pytest.param([[[0, 0, 0]]], "must be an array", id="list"),
        pytest.param(np.zeros((2, 2, 3), object), "known range", id="objects"),
        pytest.param(np.array("text"), "must be one RGB", id="text-array"),
        pytest.param(np.zeros((4, 4, 3), np.int64), "known range", id="int64"),
        pytest.param(np.zeros((4, 4, 3), np.complex64), "known range", id="complex"),
        pytest.param(np.zeros(12, np.uint8), "must be one RGB", id="one-dimensional"),
        pytest.param(np.zeros((1, 4, 4, 3), np.uint8), "must be one RGB", id="batch"),
        pytest.param(np.zeros((4, 4, 2), np.uint8), "must be one RGB", id="two-channels"),
        pytest.param(np.zeros((3, 8, 8), np.uint8), "transpose", id="channel-first"),
        pytest.param(np.zeros((0, 8, 3), np.uint8), "empty", id="no-rows"),
        pytest.param(np.zeros((8, 0, 3), np.float32), "empty", id="no-columns"),
        pytest.param(np.zeros((0, 0)), "empty", id="zero-size"),
        pytest.param(np.full((4, 4, 3), np.nan), "not finite", id="nan"),
        pytest.param(np.full((4, 4, 3), np.inf), "not finite", id="infinite"),
        pytest.param(np.full((4, 4, 3), 200.0), "divide by 255", id="float-255"),
        pytest.param(np.full((4, 4, 3), -0.5), "between 0 and 1", id="negative"),
        pytest.param(np.broadcast_to(np.uint8(0), (2**14, 2**14, 3)), "million pixels", id="huge"),
        pytest.param(torch.zeros(3, 40, 3, dtype=torch.uint8), "unambiguous", id="ambiguous"),
        pytest.param(torch.zeros(2, 4, 5), "must be one RGB", id="tensor-of-two"),
        pytest.param(torch.zeros(5, 5, 3, dtype=torch.int32), "known range", id="tensor-int"),
        pytest.param(torch.zeros(4, 4, dtype=torch.complex64), "dense and real", id="tensor-complex"),
        pytest.param(torch.zeros(3, 0, 7), "empty", id="tensor-empty"),
        pytest.param(Image.new("RGB", (0, 5)), "empty", id="pil-empty"),
        pytest.param(Image.fromarray(np.full((4, 4), 70000, np.int32)), "from 0 to 65535", id="pil-32-bit"),
        pytest.param(Image.fromarray(np.full((4, 4), 200, np.float32)), "divide by 255", id="pil-float"),
        pytest.param("https://example.org/a.png", "not downloaded", id="address"),
        pytest.param("no/such/file.png", "must be readable", id="no-file"),
        pytest.param("a\0b", "must be readable", id="no-name"),
        pytest.param(Path(__file__), "cannot be read", id="no-image"),
        pytest.param(Path(__file__).parent, "must be a regular file", id="folder"),
    ],
)
def test_what_is_no_image_is_refused_with_what_to_do(image: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        to_rgb(image)
    assert said in str(caught.value) and caught.value.fix


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "tiff"])
def test_truncated_files_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    Image.fromarray(RNG.integers(0, 256, (60, 60, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    for share in (0.0, 0.02, 0.5):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError) as caught:
            to_rgb(path)
        assert str(path) in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (int(MAX_PIXELS**0.5) + 1, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        path = tmp_path / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
        with pytest.raises(InputError, match="million pixels"):
            to_rgb(path)
