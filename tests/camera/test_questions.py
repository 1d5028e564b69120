"""Depth of another unit and odd intrinsics are questioned once per source, and plausible ones never."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point import RecordingWriter, load_frame, open_camera
from molmo_point.camera.questions import SourceQuestions
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D455
from molmo_point.geometry.intrinsics import Intrinsics

CAMERA = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
RAMP = np.linspace(0.7, 1.3, 160 * 120, dtype=np.float32).reshape(120, 160)


def frame_of(depth_m: np.ndarray | None, intrinsics: Intrinsics | None = CAMERA) -> RgbdFrame:
    return RgbdFrame(np.zeros((120, 160, 3), np.uint8), depth_m, intrinsics, 1)


def asked(*frames: RgbdFrame) -> list[str]:
    said: list[str] = []
    questions = SourceQuestions(said.append, "the \x1b[31mcamera", "depth_unit_m")
    for frame in frames:
        assert questions.ask(frame) is frame
    return said


@pytest.mark.parametrize(
    ("factor", "figure"),
    [(5.0, "4.99 m"), (1000.0, "997 m"), (0.001, "0.000997 m"), (0.1, "0.0997 m"), (0.2, None), (1.0, None), (2.5, None)],
)
def test_depth_of_an_implausible_scale_is_questioned(factor: float, figure: str | None) -> None:
    said = asked(frame_of(RAMP * np.float32(factor)))
    assert len(said) == (figure is not None)
    for line in said:
        assert f"median is {figure}" in line
        assert "depth_unit_m" in line
        assert "\n" not in line and "\x1b" not in line


def test_a_source_is_questioned_once_by_the_first_frame_that_can_tell() -> None:
    missing = np.full_like(RAMP, np.nan)
    far = frame_of(RAMP * np.float32(5))
    assert len(asked(frame_of(None), frame_of(missing), far, far)) == 1
    assert not asked(frame_of(RAMP), far)


@pytest.mark.parametrize(
    ("change", "part"), [({"cx": 106.0}, "cx=106"), ({"fx": 120.0}, "fx=120"), ({"cx": 90.0}, None), ({"fx": 140.0}, None)]
)
def test_odd_intrinsics_are_questioned(change: dict, part: str | None) -> None:
    said = asked(frame_of(None, dataclasses.replace(CAMERA, **change)))
    assert [part in line for line in said] == [True] * (part is not None)
    assert not asked(frame_of(None, None))


def test_files_folders_and_recordings_are_questioned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "color").mkdir()
    (tmp_path / "depth").mkdir()
    for number in range(3):
        Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(tmp_path / f"color/{number}.png")
        Image.fromarray((RAMP * 5000).astype(np.uint16)).save(tmp_path / f"depth/{number}.png")
    (tmp_path / "k.json").write_text(json.dumps(CAMERA.to_dict()))
    with pytest.raises(InputError, match=r"--depth-scale.*0\.0002 gives 0\.997 m"):
        load_frame(tmp_path / "color/0.png", tmp_path / "depth/0.png", tmp_path / "k.json")
    load_frame(tmp_path / "color/0.png", tmp_path / "depth/0.png", depth_scale_m=0.001)
    assert ["--depth-scale" in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    load_frame(tmp_path / "color/0.png", tmp_path / "depth/0.png", depth_scale_m=0.0002)
    assert not caplog.records
    with (
        open_camera(tmp_path / "color/0.png", depth=str(tmp_path / "depth/0.png"), depth_scale_m=0.001, loop=True) as one,
        open_camera(f"images:{tmp_path / 'color'}?depth={tmp_path / 'depth'}&depth_scale_m=0.001") as folder,
    ):
        for _ in range(3):
            one.read()
            frame = folder.read()
    assert ["depth_scale_m" in record.getMessage() for record in caplog.records] == [True, True]
    caplog.clear()
    with RecordingWriter(tmp_path / "run") as writer:
        writer.write(frame)
    with open_camera(tmp_path / "run", loop=True) as replay:
        replay.read()
        replay.read()
    assert ["manifest.json" in record.getMessage() for record in caplog.records] == [True]


def test_names_that_hint_at_a_camera_are_a_question() -> None:
    said: list[str] = []
    SourceQuestions(said.append, "image topics", "depth_unit_m", "/k4a/depth/image_raw").ask(frame_of(RAMP))
    assert len(said) == 1 and "azure_kinect" in said[0] and "camera_model" in said[0] and "estimated" in said[0]
    for frame in (frame_of(None), dataclasses.replace(frame_of(RAMP), depth_noise=D455)):
        SourceQuestions(said.append, "image topics", "depth_unit_m", "/k4a/depth/image_raw").ask(frame)
    SourceQuestions(said.append, "image topics", "depth_unit_m", "/camera/depth/image_raw").ask(frame_of(RAMP))
    assert len(said) == 1
