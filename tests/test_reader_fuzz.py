"""Readers of every kind of file: damaged and hostile bytes are read or refused, within seconds, and never end otherwise.

``MOLMO_POINT_FUZZ=50000`` makes the run longer.
"""

import io
import json
import logging
import os
import random
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from molmo_point import Intrinsics, MolmoPointError, Recording, RecordingWriter, RgbdFrame, load_transform
from molmo_point.calibration.boards import DEFAULT, board_yaml, load_board
from molmo_point.calibration.sample_file import load_session
from molmo_point.camera.image_file import load_color, load_depth
from molmo_point.camera.video_file import VideoFile
from molmo_point.finetuning.labels.row_files import read_rows
from molmo_point.finetuning.run_file import read_run_file
from molmo_point.geometry.intrinsics import load_intrinsics
from molmo_point.viz.video import write_video

MANY = int(os.environ.get("MOLMO_POINT_FUZZ", "2000"))
PIECES = (
    *(b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}", b"1e999", b"-1", b"0", b"9" * 401, b"\x00", b"\xff\xfe", b"\x1b[2J"),
    *(b"&a ", b"*a", b"<<: *a", b"!!python/none x", b"[[[[", b"}}", b"'", b'"', b": ", b"- ", b"\n", b"1:2", b"2024-01-01", b"~"),
)
CAMERA = {"width": 32, "height": 24, "fx": 30.0, "fy": 30.0, "cx": 15.0, "cy": 11.0}
TRANSFORM = {"target": "base", "source": "camera", "translation_m": [0.1, 0.2, 0.3], "quaternion_xyzw": [0, 0, 0, 1]}
POSES = [{"id": str(n), "base_T_gripper": np.eye(4).tolist(), "camera_T_board": np.eye(4).tolist()} for n in range(6)]
COLOR = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
RUN = b"base: tabletop\nout: x\ndata: [{path: a.jsonl}]\nstages: [{stage: point, images: 10}]\n"
ROW = b'{"image": "a.jpg", "label": "mug", "points": [{"x": 41.0, "y": 63.5}]}\n'


def image(form: str, pixels: np.ndarray = COLOR) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones((24, 32), np.float32))
    return buffer.getvalue()


def as_yaml(values: Any) -> bytes:
    return yaml.safe_dump(values, default_flow_style=None).encode()


def read_recording(path: Path) -> None:
    with Recording(path) as recording:
        for number in range(len(recording)):
            recording[number]


def read_manifest(path: Path) -> None:
    (path.parent / "recording" / "manifest.json").write_bytes(path.read_bytes())
    read_recording(path.parent / "recording")


def read_video(path: Path) -> None:
    with VideoFile(path) as video:
        for _, _frame in zip(range(50), video, strict=False):
            pass


def recorded(path: Path) -> Path:
    with RecordingWriter(path) as writer:
        for number in range(2):
            writer.write(RgbdFrame(COLOR, np.ones((24, 32), np.float32), Intrinsics(**CAMERA), stamp_ns=number + 1))
    return path


READERS: dict[str, tuple[Callable[[Path], bytes], Callable[[Path], Any]]] = {
    "intrinsics.json": (lambda _: json.dumps(CAMERA).encode(), load_intrinsics),
    "intrinsics.yaml": (lambda _: as_yaml(CAMERA), load_intrinsics),
    "transform.json": (lambda _: json.dumps(TRANSFORM).encode(), load_transform),
    "transform.yaml": (lambda _: as_yaml(TRANSFORM), load_transform),
    "board.yaml": (lambda _: board_yaml(DEFAULT).encode(), load_board),
    "samples.yaml": (lambda _: as_yaml({"setup": "eye_in_hand", "samples": POSES}), load_session),
    "run.yaml": (lambda _: RUN, read_run_file),
    "rows.jsonl": (lambda _: ROW * 3, lambda path: list(read_rows(path, ("image",)))),
    "color.png": (lambda _: image("PNG"), load_color),
    "color.jpg": (lambda _: image("JPEG"), load_color),
    "color.tif": (lambda _: image("TIFF"), load_color),
    "depth.png": (lambda _: image("PNG", np.ones((24, 32), np.uint16)), load_depth),
    "depth.npy": (lambda _: npy(), load_depth),
    "recording.zip": (lambda folder: recorded(folder / "base.zip").read_bytes(), read_recording),
    "manifest.bytes": (lambda folder: (recorded(folder / "recording") / "manifest.json").read_bytes(), read_manifest),
    "video.mp4": (lambda folder: write_video(folder / "base.mp4", [COLOR] * 4, 10).read_bytes(), read_video),
}


def damaged(data: bytes, rng: random.Random) -> bytes:
    text = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        place, kind = rng.randrange(len(text) + 1), rng.randrange(6)
        if kind == 0 and text:
            text[place % len(text)] = rng.randrange(256)
        elif kind == 1:
            del text[place : place + rng.randrange(1, 40)]
        elif kind == 2:
            text[place:place] = rng.choice(PIECES)
        elif kind == 3:
            text[place : place + rng.randrange(1, 10)] = rng.choice(PIECES)
        elif kind == 4:
            start = rng.randrange(len(text) + 1)
            text[place:place] = text[start : start + rng.randrange(1, 60)]
        elif rng.random() < 0.3:
            del text[place:]
    return bytes(text)


@pytest.fixture
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("count", [12, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", READERS)
def test_any_bytes_are_read_or_refused(tmp_path: Path, name: str, count: int) -> None:
    if name.startswith("video"):
        pytest.importorskip("av", reason="PyAV is not installed")
    make, read = READERS[name]
    data, path = make(tmp_path), tmp_path / name
    path.write_bytes(data)
    if name != "samples.yaml":
        read(path)
    for number in range(count):
        path.write_bytes(damaged(data, random.Random(zlib.crc32(f"{name} {number}".encode()))))
        began = time.monotonic()
        try:
            read(path)
        except MolmoPointError as error:
            assert len(error.what) < 300, number
        except Exception as error:
            raise AssertionError(f"number {number}: {error!r}") from error
        assert time.monotonic() - began < 5, number
