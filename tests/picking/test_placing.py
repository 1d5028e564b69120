"""How a held thing stands where it is let go."""

import numpy as np

from molmo_point.geometry.grasp import GRASP_FRAME
from molmo_point.picking.placing import Held

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
