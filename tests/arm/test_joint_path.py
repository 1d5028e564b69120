"""Joint paths are checked when they are made."""

import numpy as np
import pytest

from molmo_point.arm.joint_path import JointPath
from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.errors import InputError


def test_a_path_knows_its_end():
    path = JointPath(("a", "b"), np.array([[0.0, 0.0], [1.0, 2.0]]), 1.5)
    assert path.end_rad.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [([[0.0, 0.0]], 1.0), ([[0.0], [1.0]], 1.0), ([[0.0, 0.0], [np.nan, 0.0]], 1.0), ([[0.0, 0.0], [1.0, 0.0]], -1.0)],
)
def test_what_is_no_path_is_refused(rows, seconds):
    with pytest.raises(InputError, match="joint path"):
        JointPath(("a", "b"), np.array(rows), seconds)


def test_the_top_of_a_box():
    assert ObstacleBox((0.0, 0.0, 0.05), (0.1, 0.1, 0.05)).top_m == pytest.approx(0.1)
