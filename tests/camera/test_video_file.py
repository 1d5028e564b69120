"""Videos as cameras: frames in order with their times, and refusals."""

import fractions
import itertools
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molmo_point.camera.base import Camera
from molmo_point.camera.video_file import VideoFile
from molmo_point.errors import CameraError, InputError
from molmo_point.viz.video import write_video

av = pytest.importorskip("av", reason="PyAV is not installed")

LEVELS = (30, 80, 130, 180, 230)


@pytest.fixture
def path(tmp_path):
    """Five frames at 10 frames per second: red grows from frame to frame, blue is the rest."""
    pictures = [np.full((48, 64, 3), (level, 0, 255 - level), np.uint8) for level in LEVELS]
    return write_video(tmp_path / "ramp.mp4", pictures, 10)


def test_frames_come_in_order_with_their_times_and_colours(path):
    with VideoFile(path) as video:
        assert isinstance(video, Camera)
        assert (video.size_wh, len(video), video.fps) == ((64, 48), 5, pytest.approx(10))
        frames = list(video)
    assert [frame.stamp_ns for frame in frames] == [1 + n * 100_000_000 for n in range(5)]
    for frame, level in zip(frames, LEVELS, strict=True):
        np.testing.assert_allclose(frame.color.mean((0, 1)), (level, 0, 255 - level), atol=8)
        assert frame.depth_m is None and frame.intrinsics is None


def test_every_second_frame(path):
    with VideoFile(path, every=2, start_ns=1_000) as video:
        assert len(video) == 3
        assert [frame.stamp_ns - 1_000 for frame in video] == [0, 200_000_000, 400_000_000]


def test_a_video_in_a_loop_goes_on_with_growing_stamps(path):
    with VideoFile(path, loop=True) as video:
        stamps = [video.read().stamp_ns for _ in range(12)]
    assert {b - a for a, b in itertools.pairwise(stamps)} == {100_000_000}


def test_the_end_is_an_error_for_who_reads(path):
    with VideoFile(path) as video:
        for _ in LEVELS:
            video.read()
        with pytest.raises(CameraError, match="end"):
            video.read()
    with pytest.raises(CameraError):
        video.read()


def test_what_is_no_video_is_refused(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    playlist, script, empty, fifo, sound = (tmp_path / f"{name}.mp4" for name in ("list", "script", "empty", "fifo", "sound"))
    write(tmp_path / "good.mp4", UNEVEN)
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\n{tmp_path}/good.mp4\n#EXT-X-ENDLIST\n")
    script.write_text("ffconcat version 1.0\nfile good.mp4\n")
    empty.write_bytes(b"")
    os.mkfifo(fifo)
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux([*stream.encode(frame), *stream.encode(None)])
    for path in (text, tmp_path / "missing.mp4", tmp_path, playlist, script, empty, fifo, sound):
        with pytest.raises(InputError):
            VideoFile(path)
    with pytest.raises(InputError):
        VideoFile(text, every=0)


UNEVEN = (0, 100, 200, 2000, 2100, 2200)
SLOWER = (0, 33, 67, 100, 200, 300, 400, 500, 533, 567)


def write(path: Path, times_ms: Any, codec: str = "libx264", offset_ms: int = 0, unit_ms: int = 1, **options: str) -> Path:
    """A video of frames at given times: a yellow square at the top left, red at the top, green at the left."""
    base = fractions.Fraction(unit_ms, 1000)
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:32, :, 0] = picture[:, :32, 1] = 250
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 160, 96, "yuv420p", base
        stream.codec_context.time_base = base
        for time_ms in times_ms:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = (time_ms + offset_ms) // unit_ms, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def times_ms(path: Path, **options: Any) -> list[float]:
    with VideoFile(path, **options) as video:
        stamps = [frame.stamp_ns for frame in video]
    assert stamps[0] == 1
    return [(stamp - 1) * 1e-6 for stamp in stamps]


@pytest.mark.parametrize("times", [UNEVEN, SLOWER, tuple(range(0, 400, 40))])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.webm", {"codec": "libvpx-vp9"}),
        ("a.mov", {}),
        ("a.ts", {}),
        ("a.avi", {"codec": "mpeg4"}),
        ("later.mp4", {"offset_ms": 700}),
        ("later.mkv", {"offset_ms": 700}),
        ("reordered.mp4", {"bf": "3"}),
    ],
)
def test_stamps_are_those_of_the_file(tmp_path: Path, name: str, options: dict[str, Any], times: tuple[int, ...]) -> None:
    path = write(tmp_path / name, times, **options)
    np.testing.assert_allclose(times_ms(path), times, atol=2.0)
    np.testing.assert_allclose(times_ms(path, every=2), times[::2], atol=2.0)


def test_a_file_without_times_has_its_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h264", range(0, 400, 40), unit_ms=40)
    np.testing.assert_allclose(times_ms(path), range(0, 400, 40), atol=2.0)


def test_reordered_frames_of_avi_never_go_back(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", range(0, 400, 40), unit_ms=40, bf="2")
    np.testing.assert_allclose(times_ms(path), range(0, 400, 40), atol=2.0)


TURNS = {
    "as it is": ((1, 0, 0, 1), "yrgb"),
    "a quarter turn": ((0, 1, -1, 0), "gybr"),
    "half a turn": ((-1, 0, 0, -1), "bgry"),
    "three quarters": ((0, -1, 1, 0), "rbyg"),
    "left and right": ((-1, 0, 0, 1), "rybg"),
    "up and down": ((1, 0, 0, -1), "gbyr"),
    "at the diagonal": ((0, 1, 1, 0), "ygrb"),
    "at the other diagonal": ((0, -1, -1, 0), "brgy"),
}
COLORS = {"y": (250, 250, 0), "r": (250, 0, 0), "g": (0, 250, 0), "b": (0, 0, 0)}


def turned(path: Path, matrix: tuple[float, ...]) -> Path:
    """A copy of an MP4 with another display matrix in its track header."""
    data = path.read_bytes()
    start = data.index(b"tkhd") + 44
    a, b, c, d = (round(value * 65536) for value in matrix)
    other = path.with_name("turned.mp4")
    other.write_bytes(data[:start] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[start + 36 :])
    return other


@pytest.mark.parametrize("turn", TURNS)
def test_a_video_is_shown_upright(tmp_path: Path, turn: str) -> None:
    matrix, corners = TURNS[turn]
    with VideoFile(turned(write(tmp_path / "a.mp4", (0, 40)), matrix)) as video:
        width, height = video.size_wh
        assert (width, height) == ((160, 96) if matrix[0] else (96, 160))
        color = video.read().color
    assert color.shape == (height, width, 3)
    for (u, v), letter in zip(((8, 8), (-8, 8), (8, -8), (-8, -8)), corners, strict=True):
        np.testing.assert_allclose(color[v, u], COLORS[letter], atol=30, err_msg=f"{turn}, corner {u} {v}")


def test_a_slanted_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="quarter turns"):
        VideoFile(turned(write(tmp_path / "a.mp4", (0, 40)), (0.7, 0.7, -0.7, 0.7)))


def test_damaged_frames_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", range(0, 2000, 40), g="5", bf="0")
    data = bytearray(path.read_bytes())
    for number in range(len(data) // 2, len(data) // 2 + 40):
        data[number] ^= 0x5A
    path.write_bytes(data)
    found = times_ms(path)
    assert len(found) > 30
    assert set(np.rint(found)) <= set(range(0, 2000, 40))
