"""The simulated camera over a scripted scene."""

import time
from dataclasses import replace

import numpy as np
import pytest

from molmo_point.camera.base import Camera
from molmo_point.errors import CameraError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.stereo_faults import SIMULATED_D435


class Plane:
    """A scene: a grey plane at one metre."""

    intrinsics = Intrinsics(width=160, height=120, fx=150.0, fy=150.0, cx=79.5, cy=59.5)
    frame = "sim_camera_optical_frame"

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        return np.full((120, 160, 3), 128, np.uint8), np.full((120, 160), 1.0, np.float32)


def test_frames_carry_the_scene_s_geometry_and_growing_stamps() -> None:
    with SimulatedCamera(Plane(), clock_ns=lambda: 5_000) as camera:
        assert isinstance(camera, Camera)
        frames = [camera.read() for _ in range(3)]
    assert [frame.stamp_ns for frame in frames] == [5_000, 5_001, 5_002]
    assert frames[0].frame == "sim_camera_optical_frame"
    assert frames[0].intrinsics is Plane.intrinsics
    assert frames[0].depth_noise == replace(SIMULATED_D435, smoothing_px=0.0, alignment_px=0.0)
    assert frames[0].skew_s == 0.0


def test_stamps_are_host_time_by_default() -> None:
    before = time.time_ns()
    stamp = SimulatedCamera(Plane()).read().stamp_ns
    assert before <= stamp <= time.time_ns()


def test_noise_differs_between_frames_and_repeats_with_the_seed() -> None:
    def depths(seed: int) -> list[np.ndarray]:
        camera = SimulatedCamera(Plane(), seed=seed)
        return [camera.read().depth_m for _ in range(2)]

    first, again, other = depths(1), depths(1), depths(2)
    assert np.array_equal(first[0], again[0], equal_nan=True)
    assert np.array_equal(first[1], again[1], equal_nan=True)
    assert not np.array_equal(first[0], first[1], equal_nan=True)
    assert not np.array_equal(first[0], other[0], equal_nan=True)


def test_without_noise_depth_is_the_truth() -> None:
    frame = SimulatedCamera(Plane(), noise=None).read()
    assert frame.depth_noise is None
    assert np.array_equal(frame.depth_m, np.full((120, 160), 1.0, np.float32))


def test_rate_and_timeout() -> None:
    camera = SimulatedCamera(Plane(), noise=None, fps=50.0)
    start = time.monotonic()
    for _ in range(4):
        camera.read()
    assert 0.055 < time.monotonic() - start < 0.5
    slow = SimulatedCamera(Plane(), noise=None, fps=0.5)
    slow.read()
    with pytest.raises(CameraError, match="in time"):
        slow.read(timeout_s=0.01)


def test_closed_camera_refuses() -> None:
    camera = SimulatedCamera(Plane())
    camera.close()
    camera.close()
    with pytest.raises(CameraError, match="closed"):
        camera.read()
