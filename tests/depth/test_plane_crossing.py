"""Targets on a known plane: position, covariance, and the rays that give none."""

import math

import numpy as np
import pytest

from molmo_point.depth.lift import lift_point
from molmo_point.depth.plane_crossing import cross_plane
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.known_plane import KnownPlane
from molmo_point.geometry.transforms import Transform
from molmo_point.results import DepthStatus, ImagePoint, Target, Unreachable
from molmo_point.sim.camera_pose import CameraPose, camera_geometry

CAMERA = Intrinsics(640, 480, 600.0, 610.0, 322.0, 236.0, "brown_conrady", (0.08, -0.1, 0.001, -0.002, 0.0))
POSE = Transform(
    "base", "camera_color_optical_frame", camera_geometry(CameraPose((0.5, 0.1, 0.6), (0.0, 0.0, 0.0), 45.0), 64, 48)[1].rotation,
    np.array([0.5, 0.1, 0.6]),
)  # fmt: skip


def plane(**settings: float) -> KnownPlane:
    return KnownPlane.level("base", 0.01, **settings).transformed(POSE.inverse())


def seen_at(position_m: np.ndarray, sigma_px: float = 2.0) -> ImagePoint:
    u, v = CAMERA.project(POSE.inverse().apply(position_m, "base"))
    return ImagePoint(float(u), float(v), "cube", 0.9, sigma_px)


def test_a_point_at_the_stated_height_is_found_exactly():
    true_m = np.array([0.05, -0.04, 0.05])
    target = cross_plane(seen_at(true_m), np.eye(2), CAMERA, plane(height_m=0.04, height_sigma_m=0.0), 7)
    assert isinstance(target, Target)
    assert (target.depth_status, target.stamp_ns, target.label, target.confidence) == (DepthStatus.ON_PLANE, 7, "cube", 0.9)
    np.testing.assert_allclose(target.transformed(POSE).position_m, true_m, atol=1e-6)


def test_the_covariance_is_that_of_drawn_errors():
    rng, true_m = np.random.default_rng(2), np.array([0.02, 0.03, 0.05])
    point, pixel = seen_at(true_m), np.array([[4.0, 1.0], [1.0, 2.0]])
    stated = cross_plane(point, pixel, CAMERA, plane(sigma_m=0.003, height_m=0.04, height_sigma_m=0.012), 0)
    drawn = []
    for _ in range(3000):
        u, v = point.uv + rng.multivariate_normal([0.0, 0.0], pixel)
        height = 0.04 + rng.normal(0.0, math.hypot(0.003, 0.012))
        moved = ImagePoint(float(u), float(v), "cube")
        drawn.append(cross_plane(moved, pixel, CAMERA, plane(height_m=height, height_sigma_m=0.0), 0).position_m)
    measured = np.cov(np.array(drawn).T)
    np.testing.assert_allclose(stated.covariance_m2, measured, rtol=0.15, atol=2e-6)


@pytest.mark.parametrize(
    ("uv", "height_m"),
    [((320.0, 240.0), 0.7), ((320.0, -3000.0), 0.0)],
    ids=["camera below the plane", "above the horizon"],
)
def test_a_ray_that_does_not_meet_the_plane_has_no_position(uv, height_m):
    flat = Intrinsics(640, 480, 600.0, 610.0, 322.0, 236.0)
    missed = cross_plane(ImagePoint(*uv, "cube"), np.eye(2), flat, plane(height_m=height_m), 0)
    assert isinstance(missed, Unreachable) and missed.reason is DepthStatus.NO_CROSSING


def test_a_flat_look_tells_too_little():
    low = Transform("base", "camera", camera_geometry(CameraPose((0.8, 0.0, 0.06), (0.0, 0.0, 0.02), 45.0), 64, 48)[1].rotation,
                    np.array([0.8, 0.0, 0.06]))  # fmt: skip
    table = KnownPlane.level("base", 0.0, height_m=0.02).transformed(low.inverse())
    missed = cross_plane(ImagePoint(322.0, 250.0, "cube"), np.eye(2), CAMERA, table, 0)
    assert isinstance(missed, Unreachable) and "flatly" in missed.message


def test_the_lift_takes_the_plane_only_without_depth():
    color, true_m = np.zeros((480, 640, 3), np.uint8), np.array([0.0, 0.0, 0.06])
    frame = RgbdFrame(color, None, CAMERA, 5, plane=plane(height_m=0.05, height_sigma_m=0.01))
    assert lift_point(seen_at(true_m), frame).depth_status is DepthStatus.ON_PLANE
    blind = RgbdFrame(color, np.full((480, 640), np.nan, np.float32), CAMERA, 5, plane=frame.plane)
    assert lift_point(seen_at(true_m), blind).reason is DepthStatus.MISSING
    assert lift_point(seen_at(true_m), RgbdFrame(color, None, CAMERA, 5)).reason is DepthStatus.NO_INPUT
