"""Noise that is estimated from the planes of a frame, against cameras with known laws and against real frames."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from molmo_point.camera.image_file import load_frame
from molmo_point.depth import frame_noise
from molmo_point.depth.frame_noise import estimate_noise, noise_of, plane_windows
from molmo_point.evaluation.real.plane_noise import plane_noise
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_cameras import depth_camera
from molmo_point.geometry.depth_noise import D435, D455, NoiseSource
from tests.depth.measured_scenes import LAWS, Law, measured, smooth_noise, stated_by, table_and_wall
from tests.real_data import RGBD, needs_real

FRAMES = ("bin", "desk", "glass-bottles", "glass-bottles-opaque", "glass-flowers", "glass-flowers-opaque", "office")


def frame_of(law: Law, depth_m: np.ndarray) -> RgbdFrame:
    return RgbdFrame(np.zeros((*depth_m.shape, 3), np.uint8), depth_m, law.intrinsics, 0)


FAST = ("stereo, coarse color", "time of flight")


@pytest.mark.parametrize(
    ("name", "tilt_deg"),
    [(name, 20.0) for name in FAST]
    + [
        pytest.param(name, tilt, marks=pytest.mark.slow)
        for name in LAWS
        for tilt in (20.0, 75.0)
        if name not in FAST or tilt != 20.0
    ],
)
def test_each_law_is_found(name: str, tilt_deg: float) -> None:
    law, rng = LAWS[name], np.random.default_rng(3)
    z = table_and_wall(law, rng, tilt_deg=tilt_deg, away_m=0.7 if tilt_deg < 50 else 0.3, wall_m=1.2)
    depth_m = measured(law, z, rng)
    noise = estimate_noise(depth_m)
    assert noise.source is NoiseSource.ESTIMATED and noise.guessed
    ratio = (noise.sigma_z(z, law.focal_px) / stated_by(law, z))[np.isfinite(depth_m)]
    assert 0.8 < np.median(ratio) < 1.1
    assert np.quantile(ratio, 0.05) > 0.75 and np.quantile(ratio, 0.95) < 1.25


@pytest.mark.parametrize("alike_px", [2.0, pytest.param(1.0, marks=pytest.mark.slow)])
def test_alike_errors_are_counted(alike_px: float) -> None:
    law = replace(LAWS["stereo, coarse color"], alike_px=alike_px)
    rng = np.random.default_rng(5)
    noise = estimate_noise(measured(law, table_and_wall(law, rng), rng))
    assert noise.correlation_px == pytest.approx(alike_px, rel=0.25)


def test_objects_in_nine_tenths_of_the_image_do_not_count_as_noise() -> None:
    law, rng = LAWS["stereo, coarse color"], np.random.default_rng(7)
    z = 0.8 + 0.03 * smooth_noise((480, 640), 12.0, rng)
    z[300:, :320] = table_and_wall(law, rng, wall_m=0.9)[300:, :320]
    depth_m = measured(law, z, rng)
    noise = estimate_noise(depth_m)
    ratio = noise.sigma_z(z[300:, :320], 1.0) / stated_by(law, z[300:, :320])
    assert 0.8 < np.median(ratio) < 1.25


def test_without_a_plane_a_usual_camera_is_assumed_and_said() -> None:
    empty = np.full((480, 640), np.nan, np.float32)
    steps = np.where(np.arange(640) % 8 < 4, 0.6, 0.8).astype(np.float32) * np.ones((480, 1), np.float32)
    exact = np.full((480, 640), 0.8, np.float32)
    for depth_m in (empty, exact, steps, np.full((5, 5), 1.0, np.float32)):
        noise = estimate_noise(depth_m)
        assert noise.source is NoiseSource.ASSUMED and noise.guessed
        assert noise.sigma_z(0.7, 600.0) == D435.sigma_z(0.7, 600.0)


@pytest.mark.parametrize(("rough_rows", "source"), [(90, NoiseSource.ASSUMED), (320, NoiseSource.ESTIMATED)])
def test_rough_windows_are_noise_only_if_most_planes_have_it(rough_rows: int, source: NoiseSource) -> None:
    depth_m = 1.0 / np.broadcast_to(0.9 + 0.001 * np.arange(480)[:, None], (480, 640))
    depth_m = depth_m + np.where(np.arange(480)[:, None] < rough_rows, 0.008, 0.0) * np.random.default_rng(2).normal(
        size=(480, 640)
    )
    assert plane_windows(depth_m.astype(np.float32)).depth_m.size > 50
    assert estimate_noise(depth_m.astype(np.float32)).source is source


def test_the_camera_of_the_frame_comes_first_and_an_estimate_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    law, rng = LAWS["time of flight"], np.random.default_rng(2)
    frame = frame_of(law, measured(law, table_and_wall(law, rng), rng))
    assert noise_of(replace(frame, depth_noise=D455)) is D455
    assert noise_of(replace(frame, depth_m=None)).source is NoiseSource.ASSUMED
    first = noise_of(frame)
    monkeypatch.setattr(frame_noise, "estimate_noise", lambda *_: pytest.fail("estimated twice"))
    assert noise_of(frame) is first and first.source is NoiseSource.ESTIMATED


@pytest.mark.slow
def test_a_cut_image_has_windows_of_the_whole_one() -> None:
    depth_m = np.full((200, 220), 0.8, np.float32)
    assert plane_windows(depth_m, 1280.0).step_px == plane_windows(np.full((720, 1280), 0.8, np.float32)).step_px == 4
    law, rng = LAWS["stereo, fine color"], np.random.default_rng(4)
    whole = measured(law, table_and_wall(law, rng), rng)
    cut = law.intrinsics.cropped(400, 200, 420, 300)
    part = RgbdFrame(np.zeros((300, 420, 3), np.uint8), whole[200:500, 400:820].copy(), cut, 0)
    assert noise_of(part).sigma_z(0.8, 1.0) == pytest.approx(estimate_noise(whole).sigma_z(0.8, 1.0), rel=0.2)


def test_an_estimate_is_quick() -> None:
    depth_m = np.full((720, 1280), 0.8, np.float32)
    times_s = []
    for _ in range(7):
        start = time.perf_counter()
        estimate_noise(depth_m)
        times_s.append(time.perf_counter() - start)
    assert min(times_s) < 0.004


def real_frame(name: str) -> RgbdFrame:
    folder = RGBD / name
    scale_m = json.loads((folder / "points.json").read_text())["depth_scale_m"]
    return load_frame(folder / "color.jpg", folder / "depth.png", folder / "intrinsics.json", depth_scale_m=scale_m)


@needs_real
@pytest.mark.parametrize("name", ["hammer", *(pytest.param(name, marks=pytest.mark.slow) for name in FRAMES)])
def test_stated_sigma_of_real_planes(name: str) -> None:
    frame = real_frame(name)
    measure = plane_noise(frame)
    assert measure.source is NoiseSource.ESTIMATED and measure.patches >= 30
    assert 0.8 < measure.ratio < 1.25
    models = {"desk": "kinect_v1", "hammer": "", "bin": ""}
    noise = depth_camera(models.get(name, "D435") or "auto")
    if noise is not None:
        assert 0.8 < plane_noise(frame, noise).ratio < 1.25
