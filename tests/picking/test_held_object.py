"""How a held thing stands where it is let go."""

import numpy as np
import pytest

from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME, GraspCandidate
from molmo_point.picking.held_object import Held

HELD = Held("mug", width_m=0.03, below_m=0.05, radius_m=0.04, axes=np.diag([1.0, -1.0, -1.0]))


def test_it_stands_as_it_stood_just_above_what_it_is_put_on():
    pose = HELD.standing("base", np.array([0.2, -0.1]), 0.3)
    assert (pose.target, pose.source) == ("base", GRASP_FRAME)
    np.testing.assert_allclose(pose.rotation, HELD.axes)
    np.testing.assert_allclose(pose.translation_m, [0.2, -0.1, 0.356])


def test_a_turn_is_counter_clockwise_about_the_vertical_of_the_base():
    pose = HELD.standing("base", np.zeros(2), 0.0, np.pi / 2)
    np.testing.assert_allclose(pose.rotation, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]], atol=1e-12)
    np.testing.assert_allclose(pose.translation_m, [0.0, 0.0, 0.056])


def test_how_far_it_reaches_along_the_pads_is_measured_apart_from_its_width():
    axes = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    pose = Transform("base", GRASP_FRAME, axes, np.array([0.1, 0.2, 0.02]))
    grasp = GraspCandidate(pose, 0.04, 0.05, 1.0, {}, 0.08)
    x, y = np.meshgrid(np.linspace(-0.02, 0.02, 9), np.linspace(-0.05, 0.05, 21))
    points = np.stack([0.1 + x.ravel(), 0.2 + y.ravel(), np.full(x.size, 0.04)], axis=1)
    held = Held.of("brick", grasp, 0.04, 0.0, points)
    assert held.along_m == pytest.approx(0.05, abs=0.002)
    assert held.radius_m == pytest.approx(np.hypot(0.05, 0.02), abs=0.003)
    assert held.below_m == pytest.approx(0.02)
    assert np.isinf(Held.of("brick", grasp, 0.04, 0.0, np.zeros((0, 3))).along_m), "what was not seen may be long"
