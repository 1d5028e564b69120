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
from molmo_point.calibration.pose_entries import pose_entry
from molmo_point.calibration.sample_file import load_session
from molmo_point.camera.image_file import load_color, load_depth
from molmo_point.camera.intrinsics_files.camera_choice import load_intrinsics
from molmo_point.camera.video_file import VideoFile
from molmo_point.finetuning.labels.row_files import read_rows
from molmo_point.finetuning.run_file import read_run_file
from molmo_point.geometry.transforms import Transform
from molmo_point.hand_eye.solve import solve
from molmo_point.model.checkpoint.report import inspect_checkpoint
from molmo_point.viz.video import write_video

MANY = int(os.environ.get("MOLMO_POINT_FUZZ", "2000"))
PIECES = (
    *(b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}", b"1e999", b"-1", b"0", b"9" * 401, b"\x00", b"\xff\xfe", b"\x1b[2J"),
    *(b"&a ", b"*a", b"<<: *a", b"!!python/none x", b"[[[[", b"}}", b"'", b'"', b": ", b"- ", b"\n", b"1:2", b"2024-01-01", b"~"),
)
SLOW = pytest.mark.slow
CHECKPOINT = ("config.json", "preprocessor_config.json", "tokenizer_config.json", "model.safetensors")
CAMERA = {"width": 32, "height": 24, "fx": 30.0, "fy": 30.0, "cx": 15.0, "cy": 11.0}
TRANSFORM = {"target": "base", "source": "camera", "translation_m": [0.1, 0.2, 0.3], "quaternion_xyzw": [0, 0, 0, 1]}
KALIBR = {"target_type": "aprilgrid", "tagCols": 6, "tagRows": 6, "tagSize": 0.088, "tagSpacing": 0.3}
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


def samples() -> bytes:
    """Six poses of a robot that sees a board from a camera in its hand."""
    rng = np.random.default_rng(3)
    gripper_T_camera = Transform.from_quaternion("g", "c", [0, 0, 0.6, 0.8], [0.03, -0.05, 0.08])
    base_T_board = Transform("base", "board", np.eye(3), [0.5, 0.1, 0.0])
    entries = []
    for number in range(6):
        turn = np.array([1.0, 0.0, 0.0, 0.0]) + np.append(rng.uniform(-0.3, 0.3, 3), 0.0)
        base_T_gripper = Transform.from_quaternion("base", "g", turn / np.linalg.norm(turn), [0.5, 0.1, 0.6])
        seen = (base_T_gripper @ gripper_T_camera).inverse() @ base_T_board
        poses = {"base_T_gripper": pose_entry(base_T_gripper.matrix), "camera_T_board": pose_entry(seen.matrix)}
        entries.append({"id": str(number), **poses})
    return as_yaml({"setup": "eye_in_hand", "samples": entries})


def read_samples(path: Path) -> None:
    solve(load_session(path).data)


def checkpoint_member(member: str) -> Callable[[Path], bytes]:
    """Make a checkpoint, and give the bytes of one of its files."""

    def make(folder: Path) -> bytes:
        pytest.importorskip("torch")
        from .tiny_checkpoint import write_tiny_checkpoint

        return (write_tiny_checkpoint(folder / "checkpoint") / member).read_bytes()

    return make


def read_checkpoint(path: Path) -> None:
    folder = path.parent / "checkpoint"
    (folder / path.name).write_bytes(path.read_bytes())
    for problem in inspect_checkpoint(folder).problems:
        assert len(str(problem)) < 1000


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


def taught_library(folder: Path) -> bytes:
    """Teach one object, and give the bytes of its library."""
    pytest.importorskip("torch")
    from molmo_point.model.taught.library_file import write_library
    from tests.model.taught.scenes import small_library

    write_library(folder / "base.taught", small_library())
    return (folder / "base.taught").read_bytes()


def read_taught(path: Path) -> None:
    from molmo_point.model.taught.library_file import read_library

    assert len(read_library(path)) <= 2000


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
    "kalibr.yaml": (lambda _: as_yaml(KALIBR), load_board),
    "samples.yaml": (lambda _: samples(), read_samples),
    "run.yaml": (lambda _: RUN, read_run_file),
    "rows.jsonl": (lambda _: ROW * 3, lambda path: list(read_rows(path, ("image",)))),
    "color.png": (lambda _: image("PNG"), load_color),
    "color.jpg": (lambda _: image("JPEG"), load_color),
    "color.tif": (lambda _: image("TIFF"), load_color),
    "depth.png": (lambda _: image("PNG", np.full((24, 32), 800, np.uint16)), load_depth),
    "depth.npy": (lambda _: npy(), load_depth),
    "recording.zip": (lambda folder: recorded(folder / "base.zip").read_bytes(), read_recording),
    "manifest.bytes": (lambda folder: (recorded(folder / "recording") / "manifest.json").read_bytes(), read_manifest),
    "video.mp4": (lambda folder: write_video(folder / "base.mp4", [COLOR] * 4, 10).read_bytes(), read_video),
    "taught.safetensors": (taught_library, read_taught),
    **{name: (checkpoint_member(name), read_checkpoint) for name in CHECKPOINT},
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
@pytest.mark.parametrize(
    ("name", "count"),
    [
        *((name, 12) for name in READERS if name not in CHECKPOINT),
        *(pytest.param(name, MANY // 8 if name in CHECKPOINT else MANY, marks=SLOW) for name in READERS),
    ],
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, name: str, count: int) -> None:
    if name.startswith("video"):
        pytest.importorskip("av", reason="PyAV is not installed")
    make, read = READERS[name]
    data, path = make(tmp_path), tmp_path / name
    path.write_bytes(data)
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
