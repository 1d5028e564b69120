"""Lifting: positions with known truth, covariance, and every reason why not."""

import dataclasses
import math
import re

import numpy as np
import pytest

from molmo_point.depth.estimator import estimate_depth
from molmo_point.depth.frame_noise import noise_of
from molmo_point.depth.lift import lift_point, lift_points, pixel_covariance
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D405, D435
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import DepthStatus, ImagePoint, PointMode, Target, Unreachable

CAMERA = Intrinsics(640, 480, 610.0, 600.0, 320.0, 240.0)
FRAME = RgbdFrame(np.zeros((480, 640, 3), np.uint8), np.full((480, 640), 0.6, np.float32), CAMERA, 123, frame="wrist_optical")
POINT = ImagePoint(381.0, 180.0, "mug", confidence=0.7, sigma_px=2.0)


def with_depth(depth_m: np.ndarray, **changes: object) -> RgbdFrame:
    return dataclasses.replace(FRAME, depth_m=depth_m, **changes)


def test_position_by_hand() -> None:
    target = lift_point(POINT, FRAME)
    assert isinstance(target, Target)
    np.testing.assert_allclose(target.position_m, [0.06, -0.06, 0.6], atol=1e-6)
    assert (target.u, target.v, target.label, target.confidence) == (381.0, 180.0, "mug", 0.7)
    assert (target.frame, target.stamp_ns, target.depth_status) == ("wrist_optical", 123, DepthStatus.OK)


def test_covariance_by_hand() -> None:
    target = lift_point(POINT, FRAME)
    variance_z = target.covariance_m2[2, 2]
    assert 0.0003 < math.sqrt(variance_z) <= 1.05 * D435.sigma_z(0.6, math.sqrt(610 * 600))
    # J diag(su^2, su^2, sz^2) J^T with dp/dz = (0.1, -0.1, 1); the window ends at 3 sigma.
    expected = np.diag([(0.6 / 610 * 2) ** 2, (0.6 / 600 * 2) ** 2, 0]) + variance_z * np.outer([0.1, -0.1, 1], [0.1, -0.1, 1])
    np.testing.assert_allclose(target.covariance_m2, expected, rtol=0.04, atol=1e-12)
    np.testing.assert_array_equal(target.covariance_m2, target.covariance_m2.T)


def test_lens_distortion_is_undone() -> None:
    lens = dataclasses.replace(CAMERA, distortion_model="brown_conrady", distortion=(0.1, -0.2, 0.01, -0.02, 0.05))
    truth = np.array([0.15, -0.1, 0.6])
    u, v = lens.project(truth)
    target = lift_point(ImagePoint(float(u), float(v), "mug"), dataclasses.replace(FRAME, intrinsics=lens))
    np.testing.assert_allclose(target.position_m, truth, atol=1e-6)


def test_sigma_of_the_point_or_one_percent_of_the_width() -> None:
    own, default = lift_point(POINT, FRAME), lift_point(dataclasses.replace(POINT, sigma_px=math.nan), FRAME)
    ratio = math.sqrt(default.covariance_m2[0, 0] / own.covariance_m2[0, 0])
    assert ratio == pytest.approx(6.4 / 2.0, rel=0.02)


def test_noise_of_the_argument_then_the_frame_then_a_usual_camera() -> None:
    def sigma_z(frame: RgbdFrame, **options: object) -> float:
        return float(np.sqrt(lift_point(POINT, frame, **options).covariance_m2[2, 2]))

    noisy = dataclasses.replace(FRAME, depth_noise=D405)

    def without_steps(sigma: float) -> float:
        return math.sqrt(sigma**2 - 0.0003**2)

    ratio = without_steps(sigma_z(noisy)) / without_steps(sigma_z(FRAME))
    assert ratio == pytest.approx(D435.baseline_m / D405.baseline_m, rel=0.01)
    assert sigma_z(noisy, noise=D435) == sigma_z(FRAME)


def test_the_depth_camera_s_focal_length_counts_not_the_color_camera_s() -> None:
    def variance(focal_px: float | None) -> float:
        noise = dataclasses.replace(D435, focal_px=focal_px, correlation_px=5.0)
        return float(lift_point(POINT, FRAME, noise=noise).covariance_m2[2, 2]) - 0.0003**2

    assert variance(305.0) == pytest.approx(4 * variance(610.0), rel=1e-3)
    assert variance(math.sqrt(610 * 600)) == pytest.approx(variance(None), rel=1e-6)


def test_a_point_beside_a_thin_object_is_moved_onto_it() -> None:
    depth = np.full((480, 640), 0.85, np.float32)
    depth[:, 374:380] = 0.6
    target = lift_point(POINT, with_depth(depth))
    assert target.depth_status is DepthStatus.AMBIGUOUS
    assert (target.u, target.position_m[2]) == (379.0, pytest.approx(0.6, abs=1e-3))
    assert target.position_m[0] == pytest.approx((379 - 320) / 610 * 0.6, abs=1e-4)
    assert target.alternate_depth_m == pytest.approx(0.85, abs=1e-3)
    far = lift_point(POINT, with_depth(depth), prefer="far")
    assert far.position_m[2] == pytest.approx(0.85, abs=1e-3)


def test_modes_of_the_model_give_the_error_its_shape() -> None:
    flat = PointMode(0.6, 381.5, 180.0, np.array([[36.0, 0.0], [0.0, 1.0]]))
    other = PointMode(0.4, 100.0, 180.0, np.eye(2))
    point = dataclasses.replace(POINT, modes=(flat, other))
    rounding = np.array([0.64, 0.48]) ** 2 / 12
    np.testing.assert_allclose(pixel_covariance(point, (640, 480)), np.diag([36.25 + rounding[0], 1.0 + rounding[1]]))
    np.testing.assert_allclose(pixel_covariance(POINT, (640, 480)), np.diag([4.0, 4.0]))
    exact = dataclasses.replace(POINT, sigma_px=0.0)
    np.testing.assert_allclose(pixel_covariance(exact, (640, 480)), np.diag(rounding))
    np.testing.assert_allclose(pixel_covariance(dataclasses.replace(POINT, sigma_px=math.nan), (640, 480)), np.eye(2) * 40.96)
    lifted = lift_point(point, FRAME)
    ratio = (lifted.covariance_m2[0, 0] / (0.6 / 610) ** 2) / (lifted.covariance_m2[1, 1] / (0.6 / 600) ** 2)
    assert ratio == pytest.approx(36.28 / 1.02, rel=0.2)


def test_a_point_in_free_space_takes_the_reference_depth() -> None:
    target = lift_point(POINT, FRAME, reference_depth_m=0.45, reference_sigma_m=0.01)
    np.testing.assert_allclose(target.position_m, [0.045, -0.045, 0.45], atol=1e-9)
    assert (target.depth_status, target.alternate_depth_m) == (DepthStatus.OK, pytest.approx(0.6))
    expected = np.diag([(0.45 / 610 * 2) ** 2, (0.45 / 600 * 2) ** 2, 0]) + 1e-4 * np.outer([0.1, -0.1, 1], [0.1, -0.1, 1])
    np.testing.assert_allclose(target.covariance_m2, expected, rtol=1e-6, atol=1e-12)
    # A hole behind it does not matter; something in front of it does.
    assert isinstance(lift_point(POINT, with_depth(holes()), reference_depth_m=0.45), Target)
    blocked = lift_point(POINT, FRAME, reference_depth_m=0.7)
    assert isinstance(blocked, Unreachable) and blocked.reason is DepthStatus.OUT_OF_RANGE
    assert "0.600 m stands in front of the reference depth of 0.700 m" in blocked.message
    assert isinstance(lift_point(POINT, FRAME, reference_depth_m=0.63), Target)
    for bad in ({"reference_depth_m": -1.0}, {"reference_depth_m": math.nan}, {"prefer": "middle"}, {"reference_sigma_m": 0.0}):
        with pytest.raises(InputError):
            lift_point(POINT, FRAME, **bad)


def holes() -> np.ndarray:
    depth = np.full((480, 640), 0.6, np.float32)
    depth[150:210, 350:410] = np.nan
    return depth


@pytest.mark.parametrize(
    ("frame", "reason", "part"),
    [
        (with_depth(holes()), DepthStatus.MISSING, "0% of the pixels"),
        (with_depth(np.full((480, 640), 20.0, np.float32)), DepthStatus.OUT_OF_RANGE, "range"),
        (dataclasses.replace(FRAME, depth_m=None), DepthStatus.NO_INPUT, "no depth"),
        (dataclasses.replace(FRAME, intrinsics=None), DepthStatus.NO_INPUT, "no intrinsics"),
        (dataclasses.replace(FRAME, depth_stamp_ns=123 + 20_000_000), DepthStatus.STALE, r"\+20.0 ms"),
        (dataclasses.replace(FRAME, stamp_ns=30_000_000, depth_stamp_ns=0), DepthStatus.STALE, "-30.0 ms"),
    ],
)
def test_reasons(frame: RgbdFrame, reason: DepthStatus, part: str) -> None:
    result = lift_point(POINT, frame)
    assert isinstance(result, Unreachable)
    assert result.reason is reason
    assert (result.u, result.v, result.label) == (381.0, 180.0, "mug")
    assert re.search(part, result.message)


def test_skew_within_the_limit_is_accepted() -> None:
    late = dataclasses.replace(FRAME, depth_stamp_ns=123 + 16_000_000)
    assert isinstance(lift_point(POINT, late), Target)
    assert isinstance(lift_point(POINT, late, max_skew_s=0.010), Unreachable)


def test_a_pixel_that_the_lens_model_does_not_reach_is_unreachable() -> None:
    lens = dataclasses.replace(CAMERA, distortion_model="brown_conrady", distortion=(-0.4, 0, 0, 0, 0))
    result = lift_point(ImagePoint(639.0, 479.0, "mug"), dataclasses.replace(FRAME, intrinsics=lens))
    assert isinstance(result, Unreachable)
    assert "distortion" in result.message


def test_lift_points_keeps_the_order_and_every_outcome() -> None:
    points = [ImagePoint(381, 180, "hole"), ImagePoint(100, 100, "a"), ImagePoint(639.5, 479.5, "b")]
    found = lift_points(points, with_depth(holes()))
    assert [each.point for each in found] == points
    assert [each.target and each.target.label for each in found] == [None, "a", "b"]
    assert [each.reason and each.reason.label for each in found] == ["hole", None, None]


@pytest.mark.parametrize("uv", [(math.nan, 1.0), (1.0, math.inf), (640.0, 10.0)])
def test_points_that_are_not_in_the_image_are_errors(uv: tuple[float, float]) -> None:
    with pytest.raises(InputError):
        lift_point(ImagePoint(*uv, "mug"), FRAME)


def test_the_error_is_that_of_the_mode_nearest_to_the_point() -> None:
    above, below = (PointMode(0.5, POINT.u, v, np.eye(2) * v) for v in (POINT.v - 90.0, POINT.v + 20.0))
    error = pixel_covariance(dataclasses.replace(POINT, modes=(above, below)), (640, 480))
    assert error[0, 0] == pytest.approx(POINT.v + 20.0, abs=0.1)
    assert error[1, 1] == pytest.approx(POINT.v + 20.0 + 20.0**2, abs=0.1)


def test_an_unknown_camera_lifts_with_the_noise_of_its_own_planes() -> None:
    rng = np.random.default_rng(0)
    depth_m = (0.6 + 0.0030 * rng.standard_normal((480, 640))).astype(np.float32)
    frame = RgbdFrame(np.zeros((480, 640, 3), np.uint8), depth_m, CAMERA, 1)
    sigmas = [estimate_depth(depth_m, (320, 240), CAMERA, noise).sigma_m for noise in (noise_of(frame), D435)]
    target = lift_point(ImagePoint(320.0, 240.0, "mug", sigma_px=0.1), frame)
    assert math.sqrt(target.covariance_m2[2, 2]) == pytest.approx(sigmas[0], rel=0.1) != pytest.approx(sigmas[1], rel=0.1)
