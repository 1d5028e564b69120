"""Hollow things measured from points: bowls and trays of known size, and solid things that are none."""

import numpy as np
import pytest

from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.picking.container import measure_hollow

MIDDLE = np.array([0.05, -0.03])
BOWL = np.array([[0.0, 0.010], [0.032, 0.011], [0.056, 0.026], [0.070, 0.050], [0.074, 0.063], [0.076, 0.060]])


def scanned(height_of, noise=0.0008, seed=0):
    """What a camera straight above sees of a table with something on it, 2 mm apart: (n, 3)."""
    rng = np.random.default_rng(seed)
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-0.15, 0.15, 0.002), np.arange(-0.15, 0.15, 0.002)))
    z = height_of(x, y) + rng.normal(0.0, noise, x.size)
    return np.stack([x + MIDDLE[0], y + MIDDLE[1], z], axis=1)


def bowl(x, y):
    radius = np.hypot(x, y)
    return np.where(radius < 0.076, np.interp(radius, *BOWL.T), 0.0)


def tray(x, y):
    """Inside 160 x 120 mm, 30 mm high, walls of 6 mm, floor 4 mm above the table."""
    outer = (np.abs(x) < 0.086) & (np.abs(y) < 0.066)
    inner = (np.abs(x) < 0.080) & (np.abs(y) < 0.060)
    return np.where(inner, 0.004, np.where(outer, 0.03, 0.0))


def around(half_x, half_y, top, yaw=0.0):
    return ObstacleBox((*MIDDLE, 0.5 * top), (half_x, half_y, 0.5 * top), yaw)


def test_a_bowl_is_measured():
    found = measure_hollow(scanned(bowl), around(0.076, 0.076, 0.063))
    assert found is not None
    assert found.middle_m == pytest.approx(MIDDLE)
    assert found.rim_m == pytest.approx(0.061, abs=0.004)
    assert found.floor_m == pytest.approx(0.0105, abs=0.002)
    assert found.radius_m == pytest.approx(0.075, abs=0.003)
    assert 0.130 < found.opening_m < 0.150


def test_a_tray_is_measured_and_its_opening_is_the_narrow_side():
    found = measure_hollow(scanned(tray), around(0.086, 0.066, 0.03))
    assert found is not None
    assert found.opening_m == pytest.approx(0.12, abs=0.006)
    assert found.floor_m == pytest.approx(0.004, abs=0.002)
    assert found.radius_m == pytest.approx(np.hypot(0.086, 0.066), abs=0.008)


def test_the_side_that_the_wall_hides_is_completed_by_the_opposite_one():
    points = scanned(bowl)
    # From the side of -y the inside of the near wall is not seen.
    local = points[:, :2] - MIDDLE
    hidden = (local[:, 1] < -0.045) & (np.hypot(*local.T) < 0.072)
    found = measure_hollow(points[~hidden], around(0.076, 0.076, 0.063))
    assert found is not None
    near = found.surface_m[(found.surface_m[:, 1] - MIDDLE[1] < -0.05) & (np.hypot(*(found.surface_m[:, :2] - MIDDLE).T) < 0.068)]
    assert len(near) > 20
    assert np.median(near[:, 2]) > 0.02, "wall, not floor"


@pytest.mark.parametrize(("share", "height"), [(0.0, 0.058), (0.4, 0.058), (0.2, 0.09)])
def test_what_lies_in_it_does_not_hide_that_it_is_hollow(share, height):
    def filled(x, y):
        thing = (np.abs(x - share * 0.06) < 0.022) & (np.abs(y) < 0.022)
        return np.where(thing, height, bowl(x, y))

    found = measure_hollow(scanned(filled), around(0.076, 0.076, 0.063))
    assert found is not None
    assert found.surface_m[:, 2].max() > height - 0.004, "it is part of what the next one must not be put on"


def block(x, y):
    return np.where((np.abs(x) < 0.04) & (np.abs(y) < 0.04), 0.05, 0.0)


def ball(x, y):
    radius = np.hypot(x, y)
    return np.where(radius < 0.033, 0.033 + np.sqrt(np.maximum(0.033**2 - radius**2, 0.0)), 0.0)


@pytest.mark.parametrize(("thing", "half", "top"), [(block, 0.04, 0.05), (ball, 0.033, 0.066), (bowl, 0.02, 0.02)])
def test_solid_things_and_the_bare_inside_are_not_hollow(thing, half, top):
    assert measure_hollow(scanned(thing), around(half, half, top)) is None


def test_hardly_any_points_are_nothing():
    assert measure_hollow(np.zeros((0, 3)), around(0.05, 0.05, 0.05)) is None
    assert measure_hollow(scanned(bowl)[:5], around(0.05, 0.05, 0.05)) is None


def test_places_are_covered_up_to_the_rim():
    found = measure_hollow(scanned(bowl), around(0.076, 0.076, 0.063))
    assert found is not None
    assert found.covers(MIDDLE)
    assert found.covers(MIDDLE + np.array([0.04, 0.05]))
    assert not found.covers(MIDDLE + np.array([0.07, 0.07])), "in the corner of its box, but beside it"
