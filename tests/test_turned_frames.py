"""A camera that is mounted turned: the model sees an upright picture, and all that is reported is the sensor's."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point import Pointer, RecordingWriter, load_frame, open_camera
from molmo_point.backend import Limits, Prompt, WholeAnswerBackend
from molmo_point.camera.base import Camera
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import Completion

RED = (250, 10, 10)


class RedFinder(WholeAnswerBackend):
    """Points at the red pixels of the picture that it is given."""

    name, dialect = "red finder", "molmo"
    seen: np.ndarray

    def answer(self, image: np.ndarray, prompt: Prompt, limits: Limits) -> Completion:
        self.seen = image
        height, width = image.shape[:2]
        rows, columns = np.nonzero((image == RED).all(axis=2))
        x, y = (columns.mean() + 0.5) / width * 100, (rows.mean() + 0.5) / height * 100
        return Completion(f' <point x="{x:.3f}" y="{y:.3f}" alt="red">red</point>', 9, "stop")


def turned_frame(rotate_deg: int) -> tuple[RgbdFrame, tuple[float, float]]:
    """Return a frame whose picture is upright after the turn, and the pixel of its red square in the sensor's image."""
    upright = np.full((240, 320, 3) if rotate_deg % 180 == 0 else (320, 240, 3), 30, np.uint8)
    upright[: len(upright) // 2] = 220
    upright[40:51, 60:71] = RED
    color = np.ascontiguousarray(np.rot90(upright, rotate_deg // 90))
    v, u = (float(each.mean()) for each in np.nonzero((color == RED).all(axis=2)))
    v_all, u_all = np.mgrid[:240, :320]
    depth = (0.6 + u_all * 1e-4 + v_all * 2e-4).astype(np.float32)
    return RgbdFrame(color, depth, Intrinsics(320, 240, 300, 300, 161, 118), 1, rotate_deg=rotate_deg), (u, v)


@pytest.mark.parametrize("rotate_deg", [0, 90, 180, 270])
@pytest.mark.parametrize("near", [False, True])
def test_pixels_and_positions_are_those_of_the_sensor(rotate_deg: int, near: bool) -> None:
    frame, (u, v) = turned_frame(rotate_deg)
    backend = RedFinder()
    where = {"near": (u + 4, v - 3), "near_size_px": 101} if near else {}
    pointing = Pointer(backend).point(frame, "the red square", **where)
    assert backend.seen[:3].mean() > backend.seen[-3:].mean() + 50 or near
    np.testing.assert_allclose(pointing.points[0].uv, (u, v), atol=2e-3 * 320 / 100)
    expected = frame.intrinsics.deproject((u, v), 0.6 + u * 1e-4 + v * 2e-4)
    np.testing.assert_allclose(pointing.targets[0].position_m, expected, atol=5e-4)
    counted = Pointer(backend).count(frame, "red squares")
    np.testing.assert_allclose(counted.points[0].uv, (u, v), atol=1e-2)
    Pointer(backend).caption(frame)
    assert backend.seen.shape == frame.upright_color.shape and backend.seen[:3].mean() > backend.seen[-3:].mean() + 50


def test_another_turn_is_refused() -> None:
    frame, _ = turned_frame(0)
    with pytest.raises(InputError, match="rotate must be 0, 90, 180 or 270"):
        RgbdFrame(frame.color, None, None, 1, rotate_deg=45)
    with pytest.raises(InputError, match="rotate must be a whole number: 0, 90, 180, 270"):
        open_camera("simulated?rotate=45")


def test_every_source_takes_the_turn(tmp_path: Path) -> None:
    frame, _ = turned_frame(90)
    with RecordingWriter(tmp_path / "run") as writer:
        writer.write(frame)
    with open_camera(tmp_path / "run") as camera:
        assert camera.read().rotate_deg == 90
    with open_camera(f"recording:{tmp_path / 'run'}?rotate=270&loop=true") as camera:
        assert camera.replays and camera.read().rotate_deg == 270
        stamped: Camera = camera.stamped_by(lambda: 77)
        again = stamped.read()
        assert (again.stamp_ns, again.rotate_deg) == (77, 270)
    Image.fromarray(frame.color).save(tmp_path / "c.png")
    with open_camera(tmp_path / "c.png", rotate=180) as camera:
        assert camera.read().rotate_deg == 180


def test_a_stated_turn_wins_over_the_orientation_of_a_photo(tmp_path: Path) -> None:
    frame, _ = turned_frame(90)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(frame.color).save(tmp_path / "c.png", exif=exif)
    np.save(tmp_path / "d.npy", frame.depth_m)
    assert load_frame(tmp_path / "c.png").size_wh == (240, 320)
    with pytest.raises(InputError, match="rotate"):
        load_frame(tmp_path / "c.png", tmp_path / "d.npy")
    found = load_frame(tmp_path / "c.png", tmp_path / "d.npy", rotate=90)
    np.testing.assert_array_equal(found.color, frame.color)
    np.testing.assert_array_equal(found.upright_color, load_frame(tmp_path / "c.png").color)
