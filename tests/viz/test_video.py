"""Videos are written whole or not at all, with whatever is there to write them with."""

import numpy as np
import pytest
from PIL import Image

from molmo_point.errors import InputError
from molmo_point.viz import video
from molmo_point.viz.video import write_video


def pictures(count=4, size=(30, 41)):
    """Grey that grows, of an odd width."""
    return [np.full((*size, 3), 40 * (n + 1), np.uint8) for n in range(count)]


@pytest.mark.parametrize(("writer", "module"), [("_write_h264", "av"), ("_write_mpeg4", "cv2")])
def test_a_video_has_its_pictures_and_rate(tmp_path, monkeypatch, writer, module):
    pytest.importorskip(module, reason=f"{module} is not installed")
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    monkeypatch.setattr(video, "_writer", lambda suffix: (getattr(video, writer), suffix))
    path = write_video(tmp_path / "a.mp4", iter(pictures()), 5)
    read = cv2.VideoCapture(str(path))
    assert read.get(cv2.CAP_PROP_FPS) == pytest.approx(5)
    levels = [read.read()[1].mean() for _ in range(4)]
    assert levels == pytest.approx([40, 80, 120, 160], abs=6)
    assert not read.read()[0]
    assert [each.name for each in tmp_path.iterdir()] == ["a.mp4"]


def test_without_any_codec_it_becomes_a_gif(tmp_path, monkeypatch):
    monkeypatch.setattr(video.importlib.util, "find_spec", lambda name: None)
    path = write_video(tmp_path / "a.mp4", pictures(), 5)
    assert path.name == "a.gif"
    with Image.open(path) as image:
        assert (image.n_frames, image.info["duration"]) == (4, 200)


def test_nothing_is_left_where_a_picture_is_wrong(tmp_path):
    def broken():
        yield pictures()[0]
        yield np.zeros((10, 10, 3), np.uint8)

    for bad in (broken(), [], [np.zeros((4, 4), np.uint8)]):
        with pytest.raises(InputError):
            write_video(tmp_path / "a.gif", bad, 5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "fps"), [("a.avi", 5), ("a", 5), ("a.gif", 0), ("a.gif", float("nan")), ("no/a.gif", 5)])
def test_what_cannot_be_written_is_refused(tmp_path, name, fps):
    with pytest.raises(InputError):
        write_video(tmp_path / name, pictures(), fps)
