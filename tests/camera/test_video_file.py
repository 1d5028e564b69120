"""Videos as cameras: frames in order with their times, and refusals."""

import itertools

import numpy as np
import pytest

from molmo_point.camera.base import Camera
from molmo_point.errors import CameraError, InputError
from molmo_point.viz.video import write_video

pytest.importorskip("cv2", reason="OpenCV is not installed")
from molmo_point.camera.video_file import VideoFile

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
    for path in (text, tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(InputError):
            VideoFile(path)
    with pytest.raises(InputError):
        VideoFile(text, every=0)
