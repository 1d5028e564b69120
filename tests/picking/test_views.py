"""Which sightings are of one thing."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.views import Looker, Sighting, grouped, same_object
from molmo_point.results import DepthStatus, Target

FRAME = RgbdFrame(np.zeros((4, 4, 3), np.uint8), None, None, 0)


def target(x, sigma_m=0.003, confidence=0.8):
    covariance = np.eye(3) * sigma_m**2
    return Target(0, 0, "cube", confidence, np.array([x, 0.0, 0.0]), covariance, "base", 0, DepthStatus.OK, math.nan, 1.0)


def sighting(x, confidence=0.8, place="here"):
    seen = target(x, confidence=confidence)
    return Sighting(place, FRAME, Transform.identity("base", FRAME.frame), seen, seen)


@pytest.mark.parametrize(
    ("away_m", "sigma_m", "same"),
    [(0.01, 0.001, True), (0.04, 0.001, False), (0.04, 0.02, True), (0.1, 0.2, False)],
)
def test_same_by_distance_or_covariance_but_never_far_apart(away_m, sigma_m, same):
    assert same_object(target(0.0, sigma_m), target(away_m, sigma_m), 0.02) is same


def test_the_group_with_the_most_weight_is_first():
    groups = grouped([sighting(0.0, 0.9), sighting(0.2, 0.8), sighting(0.21, 0.8)], 0.025)
    assert [len(group) for group in groups] == [2, 1]
    assert grouped([sighting(0.0, 0.95), sighting(0.2, 0.3)], 0.025)[0][0].target.position_m[0] == 0.0


def test_a_confidence_that_nobody_knows_counts_like_a_half():
    assert sighting(0.0, math.nan).weight == pytest.approx(sighting(0.0, 0.5).weight)
    assert sighting(0.0, 0.9).weight > sighting(0.0, 0.6).weight > 0


CAMERA = Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
BASE_T_CAMERA = Transform("base", FRAME.frame, np.diag([1.0, -1.0, -1.0]), np.array([0.3, 0.1, 0.5]))


@pytest.mark.parametrize("uv", [(40.0, 20.0), (-0.4, 10.0), (63.4, 47.4)])
def test_a_sighting_is_moved_to_the_pixel_of_a_place(uv):
    found = moved_to(uv)
    assert found is not None
    np.testing.assert_allclose((found.in_camera.u, found.in_camera.v), uv, atol=0.5)
    np.testing.assert_allclose(
        found.target.position_m, found.base_T_camera.apply(CAMERA.deproject(uv, 0.5), FRAME.frame), atol=1e-6
    )


@pytest.mark.parametrize("uv", [(63.6, 20.0), (20.0, 47.6), (-0.6, 20.0), (55.0, 60.0)])
def test_a_place_outside_the_image_moves_nothing(uv):
    assert moved_to(uv) is None


def moved_to(uv):
    frame = RgbdFrame(np.zeros((48, 64, 3), np.uint8), np.full((48, 64), 0.5, np.float32), CAMERA, 0)
    arm = SimpleNamespace(base_T_camera=lambda name, stamp_ns: BASE_T_CAMERA)
    looker = Looker(SimpleNamespace(backend=SimpleNamespace(tells_spread=False)), arm)
    seen = target(0.0)
    return looker.moved(
        Sighting("here", frame, BASE_T_CAMERA, seen, seen), BASE_T_CAMERA.apply(CAMERA.deproject(uv, 0.5), FRAME.frame)
    )
