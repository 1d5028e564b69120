"""Noise of depth cameras against independent formulas, and the choice of a camera model by name."""

import math
from pathlib import Path

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.geometry.depth_cameras import DEPTH_CAMERAS, at_focal_length, camera_of_words, depth_camera
from molmo_point.geometry.depth_noise import D405, D435, D455, DepthNoise, NoiseSource


@pytest.mark.parametrize(
    ("name", "depth_m", "color_focal_px", "low_mm", "high_mm"),
    [
        # Residuals of planes in real frames, at windows of a 31st of the image's width.
        ("D435", 0.48, 921.0, 0.55, 0.85),
        ("D435", 0.88, 921.0, 1.6, 2.5),
        ("D435:640", 1.75, 613.0, 6.0, 10.0),
        ("kinect_v1", 1.14, 518.0, 1.6, 2.2),
        ("kinect_v1", 8.0, 518.0, 75.0, 115.0),
        ("azure_kinect", 0.45, 600.0, 1.2, 2.2),
        ("zivid", 0.77, 1790.0, 0.18, 0.31),
    ],
)
def test_presets_are_near_residuals_of_real_planes(
    name: str, depth_m: float, color_focal_px: float, low_mm: float, high_mm: float
) -> None:
    noise = depth_camera(name)
    assert noise is not None and noise.source is NoiseSource.PRESET
    assert low_mm < noise.sigma_z(depth_m, color_focal_px) * 1e3 < high_mm


def test_stereo_is_the_law_of_disparity() -> None:
    noise = DepthNoise(0.05, 0.08)
    for depth_m in (0.3, 2.0):
        low, high = (1.0 / (1.0 / depth_m + sign * 0.08 / (600.0 * 0.05)) for sign in (1, -1))
        assert noise.sigma_z(depth_m, 600.0) == pytest.approx((high - low) / 2, rel=1e-3)
    sigma = noise.sigma_z(np.array([0.5, 1.0, np.nan]), 425)
    assert sigma[1] == pytest.approx(4 * sigma[0]) and np.isnan(sigma[2])


def test_a_polynomial_is_added_in_quadrature() -> None:
    law = DepthNoise(polynomial_m=(0.001, 0.002, 0.003))
    assert law.sigma_z(2.0, 600.0) == pytest.approx(0.001 + 0.004 + 0.012)
    both = DepthNoise(0.05, 0.08, polynomial_m=(0.001, 0.002, 0.003))
    assert both.sigma_z(2.0, 600.0) == pytest.approx(math.hypot(DepthNoise(0.05, 0.08).sigma_z(2.0, 600.0), 0.017))


def test_the_depth_imager_s_focal_length_counts_not_the_color_camera_s() -> None:
    assert D435.sigma_z(0.8, 921.0) == D435.sigma_z(0.8, 450.0) == D435.sigma_z(0.8, 424.0)
    assert D405.sigma_z(0.5, 900.0) == pytest.approx(50 / 18 * D435.sigma_z(0.5, 900.0))
    assert D455.sigma_z(0.5, 900.0) == pytest.approx(50 / 95 * D435.sigma_z(0.5, 900.0))
    assert D435.pixel_ratio(848.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("mode", "focal_px"),
    # Focal lengths that librealsense reports for these cameras, to 2 %.
    [
        ("D435:424x240", 212), ("D435:480x270", 240), ("D435:640x480", 384), ("D435:640", 384), ("D435:640x360", 320),
        ("d435:848", 424), ("D435i:1280x720", 640), ("D415:640x480", 612), ("D415:848x480", 610), ("D415:1280", 915),
        ("D455:1280x800", 640), ("D405:848x480", 425), ("OAK-D:640x400", 441), ("azure kinect:320x288", 252),
    ],
)  # fmt: skip
def test_focal_length_of_each_mode(mode: str, focal_px: float) -> None:
    noise = depth_camera(mode)
    assert noise is not None and noise.focal_px == pytest.approx(focal_px, rel=0.02)


def test_another_mode_keeps_error_and_correlation_as_angles() -> None:
    fine = at_focal_length(D435, 848.0)
    assert fine.sigma_disparity_px == pytest.approx(2 * 0.062)
    assert fine.sigma_z(0.7, 600.0) == pytest.approx(D435.sigma_z(0.7, 600.0))
    assert fine.independent(4000.0, 600.0) == pytest.approx(D435.independent(4000.0, 600.0))
    flight = DEPTH_CAMERAS["femto"].in_mode(320, 288)
    assert flight.sigma_z(1.0, 600.0) == DEPTH_CAMERAS["femto"].noise.sigma_z(1.0, 600.0)


def test_errors_are_alike_over_more_pixels_of_a_finer_image() -> None:
    # 4 pi 1.5^2 = 28.3 pixels of the depth camera are alike, and four times as many of an image twice as fine.
    noise = DepthNoise(0.05, 0.08, focal_px=400.0)
    assert noise.independent(1000.0, 400.0) == pytest.approx(1000 / 28.27, rel=1e-3)
    assert noise.independent(1000.0, 800.0) == pytest.approx(1000 / 113.1, rel=1e-3)
    assert noise.independent(10.0, 800.0) == 1.0


def test_a_pixel_changes_more_from_frame_to_frame_than_within_one() -> None:
    # A still camera's depth spreads over frames by 1.3 to 1.8 times the residual within one, on a grazing table by 4.
    calm, grazing = (D435.sigma_change(0.8, 600.0, grazing=flat) / D435.sigma_z(0.8, 600.0) for flat in (False, True))
    assert 1.3 <= calm <= 1.8 and grazing == 4.0 and D435.flicker_share == pytest.approx(0.115)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Intel RealSense D435I", "D435i"), ("Intel RealSense D435", "D435"), ("Intel RealSense D415", "D415"),
        ("/camera/aligned_depth_to_color/image_raw", ""), ("/k4a/depth_to_rgb/image_raw", "azure_kinect"),
        ("Intel RealSense D455", "D455"), ("d435 and d455", ""), ("femto_bolt_color_optical_frame", "femto"),
    ],
)  # fmt: skip
def test_names_of_devices_and_topics(text: str, name: str) -> None:
    assert camera_of_words(text) == name


def test_auto_is_no_camera() -> None:
    assert depth_camera("auto") is None


@pytest.mark.parametrize(
    ("name", "words"),
    [("D345", "D435"), ("auto:848", "one of"), ("D435:wide", "width"), ("", "one of"), ("D435:848x", "width")],
)
def test_refused_names(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        depth_camera(name)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"baseline_m": 0.0, "sigma_disparity_px": 0.08}, "baseline_m must be finite and above zero"),
        ({"baseline_m": 0.05, "sigma_disparity_px": math.nan}, "above zero"),
        ({"baseline_m": -1, "sigma_disparity_px": 0.08}, "above zero"),
        ({"baseline_m": 0.05}, "both be given"),
        ({}, "not all zero"),
        ({"polynomial_m": (0.001, -0.1, 0.0)}, "three finite numbers"),
        ({"polynomial_m": (0.001, 0.1)}, "three finite numbers"),
        ({"polynomial_m": (0.001, 0.0, 0.0), "flicker_share": 1.0}, "share"),
    ],
)
def test_refused_values(values: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        DepthNoise(**values)


def test_the_documented_table_is_that_of_the_models() -> None:
    text = (Path(__file__).parents[2] / "docs/cameras.md").read_text()
    for name, camera in DEPTH_CAMERAS.items():
        figures = [f"{camera.noise.sigma_z(depth_m, 600.0) * 1e3:.2g}" for depth_m in (0.5, 1.0, 2.0)]
        assert f"| `{name}` | {' | '.join(figures)} | {camera.description} |" in text
