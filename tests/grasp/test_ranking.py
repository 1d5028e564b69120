"""Grasps of other generators in order, whatever axes they are written in."""

import math

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.grasp.ranking import rank_grasps

# columns x, y (closing), z (approach): from above onto a table whose up is +z
DOWN = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
ALONG_X = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])


def pose(rotation, position) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, position
    return matrix


def test_the_nearest_comes_first_and_the_index_is_kept():
    poses = np.stack([pose(DOWN, (0.1, 0.0, 0.0)), pose(DOWN, (0.01, 0.0, 0.0)), pose(DOWN, (0.05, 0.0, 0.0))])
    ranked = rank_grasps(poses, (0.0, 0.0, 0.0), "base")
    assert [each.index for each in ranked] == [1, 2, 0]
    assert [each.distance_m for each in ranked] == pytest.approx([0.01, 0.05, 0.1])
    assert ranked[0].quality == pytest.approx(math.exp(-0.5 / 9.0)) and math.isnan(ranked[0].alignment)
    assert ranked[0].to_dict()["alignment"] is None and ranked[0].to_dict()["frame"] == "base"


def test_a_target_above_the_pads_is_within_reach_and_below_is_not():
    poses = pose(DOWN, (0.0, 0.0, 0.0))[None]
    assert rank_grasps(poses, (0.0, 0.0, 0.025), "base")[0].distance_m == pytest.approx(0.0)
    assert rank_grasps(poses, (0.0, 0.0, 0.05), "base")[0].distance_m == pytest.approx(0.02)
    assert rank_grasps(poses, (0.0, 0.0, -0.02), "base")[0].distance_m == pytest.approx(0.02)


def test_the_wanted_approach_decides_between_equals():
    poses = np.stack([pose(ALONG_X, (0.0, 0.0, 0.0)), pose(DOWN, (0.0, 0.0, 0.0))])
    ranked = rank_grasps(poses, (0.0, 0.0, 0.0), "base", approach=(0.0, 0.0, -3.0))
    assert [each.index for each in ranked] == [1, 0]
    assert [each.alignment for each in ranked] == pytest.approx([1.0, 0.0])
    assert ranked[1].quality == pytest.approx(0.5)


def test_own_scores_are_scaled_and_sigma_widens():
    poses = np.stack([pose(DOWN, (0.03, 0.0, 0.0)), pose(DOWN, (0.0, 0.0, 0.0))])
    ranked = rank_grasps(poses, (0.0, 0.0, 0.0), "base", scores=[8.0, 2.0])
    assert [each.index for each in ranked] == [0, 1] and ranked[1].quality == pytest.approx(0.25)
    wide = rank_grasps(poses, (0.0, 0.0, 0.0), "base", sigma_m=0.04)
    assert wide[1].quality == pytest.approx(math.exp(-0.5 * 0.03**2 / 0.05**2))


@pytest.mark.parametrize(("convention", "columns"), [("tool", (0, 1, 2)), ("graspnet", (2, 1, 0)), ("acronym", (1, 0, 2))])
def test_conventions_give_the_same_tool_frame(convention, columns):
    # the same physical grasp, written with other axes: approach and closing in the columns of the convention
    x, y, z = DOWN.T
    named = {"tool": (x, y, z), "graspnet": (z, y, np.cross(z, y)), "acronym": (y, np.cross(z, y), z)}[convention]
    given = pose(np.stack(named, axis=1), (0.0, 0.0, 0.2))
    assert np.linalg.det(given[:3, :3]) == pytest.approx(1.0)
    ranked = rank_grasps(given[None], (0.0, 0.0, 0.1), "base", convention=convention, origin_to_pads_m=0.1)
    assert ranked[0].camera_T_grasp.rotation == pytest.approx(DOWN)
    assert ranked[0].camera_T_grasp.translation_m == pytest.approx([0.0, 0.0, 0.1])
    assert ranked[0].distance_m == pytest.approx(0.0)


def test_none_is_an_answer():
    assert rank_grasps([], (0.0, 0.0, 0.0), "base") == ()


@pytest.mark.parametrize(
    ("poses", "options", "words"),
    [
        (np.eye(4), {}, "homogeneous poses"),
        (np.full((1, 4, 4), np.nan), {}, "homogeneous poses"),
        (pose(DOWN, (0.1, 0.2, 0.3)).T[None], {}, "rigid"),
        (pose(2.0 * DOWN, (0.0, 0.0, 0.0))[None], {}, "rigid"),
        (pose(-DOWN, (0.0, 0.0, 0.0))[None], {}, "rigid"),
        (np.eye(4)[None], {"convention": "ros"}, "convention"),
        (np.eye(4)[None], {"scores": [1.0, 2.0]}, "one number for each grasp"),
        (np.eye(4)[None], {"scores": [-1.0]}, "one number for each grasp"),
        (np.eye(4)[None], {"approach": (0.0, 0.0, 0.0)}, "direction"),
        (np.eye(4)[None], {"sigma_m": -0.1}, "lengths must be finite"),
        ("abc", {}, "numbers"),
    ],
)
def test_bad_input_is_refused(poses, options, words):
    with pytest.raises(InputError, match=words):
        rank_grasps(poses, (0.0, 0.0, 0.0), "base", **options)


def test_a_target_that_is_not_a_point_is_refused():
    with pytest.raises(InputError, match="finite point"):
        rank_grasps(np.eye(4)[None], (0.0, math.nan, 0.0), "base")
