"""A pixel that is known badly gives a position that is known badly, at any size of the error and of the image."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molmo_point.depth.lift import lift_point
from molmo_point.depth.window import MAX_SIGMA_RADIUS_PX, SAMPLES, cut_window
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import DepthStatus, ImagePoint, Target

from .surfaces import CAMERA, SHARP, plane, with_rod

FINE = replace(SHARP, focal_px=None)
"""Noise of a depth imager with the pixels of the image: small against errors of three pixels, at any resolution."""


def lifted(depth_m: np.ndarray, uv: tuple[float, float], sigma_px: float, camera: Intrinsics) -> Target:
    frame = RgbdFrame(np.zeros((*depth_m.shape, 3), np.uint8), depth_m, camera, stamp_ns=77)
    target = lift_point(ImagePoint(*uv, "wall", sigma_px=sigma_px), frame, noise=FINE)
    assert isinstance(target, Target)
    return target


def check_plane(camera: Intrinsics, uv: tuple[float, float], sigma_px: float, steepness: float, turn_rad: float) -> None:
    """Compare the stated standard deviations with those of a pixel error carried along a plane 0.8 m away."""
    u, v, focal, depth_m = *uv, camera.fx, 0.8
    # 1 / z = 1 / depth + slope_u (u - u0) + slope_v (v - v0), and dz/du = -z^2 slope_u.
    slope_u, slope_v = -steepness * np.cos(turn_rad) / focal / depth_m, -steepness * np.sin(turn_rad) / focal / depth_m
    columns, rows = np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)[:, None]
    inverse = 1 / depth_m + slope_u * (columns - u) + slope_v * (rows - v)
    depth = np.where(inverse > 0.05, 1 / np.maximum(inverse, 0.05), np.nan).astype(np.float32)
    target = lifted(depth, uv, sigma_px, camera)
    stated = np.sqrt(np.diag(target.covariance_m2))
    x, y = (u - camera.cx) / focal, (v - camera.cy) / focal
    by_u, by_v = -(depth_m**2) * slope_u, -(depth_m**2) * slope_v
    jacobian = np.array([[depth_m / focal + x * by_u, x * by_v], [y * by_u, depth_m / focal + y * by_v], [by_u, by_v]])
    true = sigma_px * np.sqrt((jacobian**2).sum(axis=1))
    large = true > 0.003
    assert 0.9 < np.linalg.norm(stated) / np.linalg.norm(true) < 1.5
    np.testing.assert_array_less(0.9 * true[large], stated[large])
    np.testing.assert_array_less(stated[large], 1.5 * true[large])


SIZES = [(640, 480), (848, 480), (1280, 720)]
SIGMAS = st.floats(3.0, 100.0)
# From a corner of the image to its middle, and to the opposite corner.
PLACES = st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0))


def camera_of(size_wh: tuple[int, int]) -> Intrinsics:
    width, height = size_wh
    return Intrinsics(width, height, 0.9 * width, 0.9 * width, (width - 1) / 2, (height - 1) / 2)


@settings(max_examples=60)
@given(size=st.sampled_from(SIZES), place=PLACES, sigma_px=SIGMAS, steepness=st.floats(0.0, 1.0), turn_rad=st.floats(0.0, 6.28))
def test_law_the_covariance_is_as_large_as_the_error(size, place, sigma_px, steepness, turn_rad) -> None:
    uv = (place[0] * size[0] - 0.5, place[1] * size[1] - 0.5)
    check_plane(camera_of(size), uv, sigma_px, steepness, turn_rad)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    size=st.sampled_from([(1920, 1080), (3840, 2160), (7680, 4320)]),
    place=PLACES,
    sigma_px=SIGMAS,
    steepness=st.floats(0.0, 1.0),
    turn_rad=st.floats(0.0, 6.28),
)
def test_law_the_covariance_is_as_large_as_the_error_up_to_8k(size, place, sigma_px, steepness, turn_rad) -> None:
    uv = (place[0] * size[0] - 0.5, place[1] * size[1] - 0.5)
    check_plane(camera_of(size), uv, sigma_px, steepness, turn_rad)


@pytest.mark.parametrize("sigma_px", [3.0, 10.0, 20.0, 30.0, 50.0, 100.0])
def test_a_wall_at_every_error(sigma_px: float) -> None:
    stated = np.sqrt(np.diag(lifted(plane(1.0), (319.5, 239.5), sigma_px, CAMERA).covariance_m2)[:2])
    np.testing.assert_allclose(stated, sigma_px / 610.0, rtol=0.03)


def test_a_slanted_error_is_sampled_along_itself() -> None:
    long, turn = 90.0, np.array([[0.8, -0.6], [0.6, 0.8]])
    error = turn @ np.diag([long**2, 2.0**2]) @ turn.T
    window = cut_window(plane(1.0), np.array([319.5, 239.5]), error, 610.0, 0.1, 10.0)
    share = window.samples.likely / window.samples.likely.sum()
    away = np.stack([window.samples.du, window.samples.dv])
    np.testing.assert_allclose((away * share) @ away.T, error, atol=0.06 * long**2)


def test_a_large_error_still_ends_where_the_surface_ends() -> None:
    narrow = lifted(with_rod(290, 350), (320.0, 240.0), 50.0, CAMERA)
    x, y, _ = np.sqrt(np.diag(narrow.covariance_m2))
    # 61 pixels wide: at most the 17.6 px of a uniform distribution. Lengthwise, it fills the image.
    assert x == pytest.approx(17.0 / 610 * 0.6, rel=0.08)
    assert y == pytest.approx(50.0 / 610 * 0.6, rel=0.08)


def test_a_near_surface_beyond_the_window_makes_the_point_ambiguous() -> None:
    depth = plane(1.0)
    depth[:, 365:] = 0.6
    target = lifted(depth, (319.5, 239.5), 60.0, CAMERA)
    assert (target.depth_status, target.u) == (DepthStatus.AMBIGUOUS, 319.5)
    assert target.alternate_depth_m == pytest.approx(0.6, abs=1e-3)
    assert target.position_m[2] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("sigma_px", [14.0, 100.0, 1e4])
def test_the_work_does_not_grow_with_the_error(sigma_px: float) -> None:
    window = cut_window(plane(1.0), np.array([319.5, 239.5]), np.eye(2) * sigma_px**2, 610.0, 0.1, 10.0)
    assert window.samples.z.size <= SAMPLES + (2 * MAX_SIGMA_RADIUS_PX + 1) ** 2
