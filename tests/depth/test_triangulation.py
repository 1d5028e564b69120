"""Positions from several views: exact, with honest covariance, associated, or refused."""

import numpy as np
import pytest
from scipy.stats import chi2

from molmo_point.depth.triangulation import CameraView, SeenPoint, triangulate
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.results import DepthStatus
from molmo_point.sim.camera_pose import CameraPose, camera_geometry

MIDDLE = np.array([0.05, -0.02, 0.03])


def pose(degrees: float, away_m: float = 0.55, frame: str = "base") -> tuple:
    angle = np.deg2rad(degrees)
    eye = (away_m * np.cos(angle), away_m * np.sin(angle), 0.45)
    intrinsics, found = camera_geometry(CameraPose(eye, (0.0, 0.0, 0.0), 45.0), 640, 480)
    return intrinsics, Transform(frame, found.source, found.rotation, found.translation_m)


def view(degrees: float, points, sigma_px: float = 2.0, rng=None, **more) -> CameraView:
    intrinsics, world_T_camera = pose(degrees, **more)
    uv = [intrinsics.project(world_T_camera.inverse().apply(np.array(each), world_T_camera.target)) for each in points]
    noise = np.zeros((len(uv), 2)) if rng is None else rng.normal(0.0, sigma_px, (len(uv), 2))
    return CameraView(intrinsics, world_T_camera, tuple(SeenPoint(u + n, np.eye(2) * sigma_px**2) for u, n in zip(uv, noise)))


def test_exact_pixels_give_the_exact_position():
    (found,) = triangulate([view(0, [MIDDLE]), view(25, [MIDDLE]), view(-30, [MIDDLE])])
    assert found.status is DepthStatus.TRIANGULATED and found.matches == (0, 0, 0)
    np.testing.assert_allclose(found.position_m, MIDDLE, atol=1e-6)
    assert 0.3 < found.parallax_rad < 1.0


@pytest.mark.parametrize("angles", [(0, 20), (0, 30, -30)])
def test_the_covariance_is_that_of_the_errors(angles):
    rng, squared = np.random.default_rng(3), []
    for _ in range(400):
        (found,) = triangulate([view(angle, [MIDDLE], 3.0, rng) for angle in angles], extent_m=0.0)
        if found.status is DepthStatus.TRIANGULATED:
            away = found.position_m - MIDDLE
            squared.append(away @ np.linalg.solve(found.covariance_m2, away))
    assert len(squared) > 380
    for share in (0.68, 0.95):
        assert np.mean(np.array(squared) < chi2.ppf(share, 3)) == pytest.approx(share, abs=0.05)


def test_the_error_of_the_poses_widens_the_covariance():
    exact = [view(0, [MIDDLE]), view(25, [MIDDLE])]
    unsure = [
        CameraView(each.intrinsics, Transform(p.target, p.source, p.rotation, p.translation_m, np.eye(6) * 1e-4), each.points)
        for each in exact
        for p in [each.world_T_camera]
    ]
    (sure,), (wide,) = triangulate(exact), triangulate(unsure)
    assert np.trace(wide.covariance_m2) > 4 * np.trace(sure.covariance_m2)


def test_every_point_finds_its_own_match_in_any_order():
    objects = [np.array([0.1, 0.1, 0.02]), np.array([-0.08, 0.05, 0.02]), np.array([0.02, -0.12, 0.04])]
    views = [view(0, objects), view(28, objects[::-1]), view(-25, [objects[1], objects[2], objects[0]])]
    results = triangulate(views)
    assert [each.matches for each in results] == [(0, 2, 2), (1, 1, 0), (2, 0, 1)]
    for found, true_m in zip(results, objects):
        np.testing.assert_allclose(found.position_m, true_m, atol=1e-6)


def test_an_object_that_one_view_misses_is_confirmed_by_another():
    views = [view(0, [MIDDLE]), view(25, []), view(-25, [MIDDLE])]
    (found,) = triangulate(views)
    assert found.matches == (0, None, 0)


def test_a_view_that_points_elsewhere_is_outvoted():
    wrong = view(25, [np.array([-0.15, 0.15, 0.02])])
    (found,) = triangulate([view(0, [MIDDLE]), wrong, view(-25, [MIDDLE]), view(40, [MIDDLE])])
    assert found.matches == (0, None, 0, 0)
    np.testing.assert_allclose(found.position_m, MIDDLE, atol=1e-6)


def test_two_views_of_different_objects_do_not_match():
    (found,) = triangulate([view(0, [MIDDLE]), view(25, [np.array([0.05, 0.12, 0.2])])])
    assert found.status is DepthStatus.NO_MATCH and np.isnan(found.position_m).all()


def test_two_objects_on_one_epipolar_line_are_ambiguous_until_a_third_view():
    _, first = pose(0)
    ray = MIDDLE - first.translation_m
    other = first.translation_m + 1.12 * ray
    views = [view(0, [MIDDLE]), view(25, [MIDDLE, other])]
    (found,) = triangulate(views)
    assert found.status is DepthStatus.NO_MATCH and "third place" in found.message
    (found,) = triangulate([*views, view(-30, [MIDDLE])])
    np.testing.assert_allclose(found.position_m, MIDDLE, atol=1e-6)


def test_views_from_one_place_have_no_parallax():
    for degrees in (0.0, 1.0):
        (found,) = triangulate([view(0, [MIDDLE]), view(degrees, [MIDDLE])])
        assert found.status is DepthStatus.NO_PARALLAX


def test_a_point_behind_a_camera_is_no_match():
    (found,) = triangulate([view(0, [MIDDLE]), view(180, [MIDDLE], away_m=-0.55)])
    assert found.status in (DepthStatus.NO_MATCH, DepthStatus.NO_PARALLAX)


def test_views_must_be_two_in_one_frame():
    with pytest.raises(InputError, match="two or more"):
        triangulate([view(0, [MIDDLE])])
    with pytest.raises(FrameError, match="one frame"):
        triangulate([view(0, [MIDDLE]), view(25, [MIDDLE], frame="other")])
    with pytest.raises(InputError, match="extent_m"):
        triangulate([view(0, [MIDDLE]), view(25, [MIDDLE])], extent_m=-1.0)
