"""Ages of targets, and targets after the camera moved."""

import math

import numpy as np
import pytest

from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.poses import PoseHistory
from molmo_point.geometry.transforms import Transform
from molmo_point.results import DepthStatus, Target
from molmo_point.target_time import age_s, at_capture, fresh, require_fresh, seen_from_now

SECOND = 1_000_000_000


def target(stamp_ns: int = 10 * SECOND, frame: str = "camera") -> Target:
    return Target(
        1.0, 2.0, "mug", math.nan, np.array([0.1, 0.0, 0.6]), np.diag([1e-6, 4e-6, 9e-6]), frame, stamp_ns,
        DepthStatus.OK, math.nan, 1.0,
    )  # fmt: skip


def moving_camera() -> PoseHistory:
    """Looks along base z, and moves 5 cm a second along base x."""
    poses = PoseHistory("base", "camera", max_gap_s=1.0)
    for second in range(8, 16):
        poses.add(Transform("base", "camera", np.eye(3), np.array([0.05 * (second - 10), 0.0, 0.3])), second * SECOND)
    return poses


def test_age() -> None:
    assert age_s(target(), 12_500_000_000) == pytest.approx(2.5)
    assert age_s(target(), 10 * SECOND) == 0.0
    with pytest.raises(InputError, match="must not be before"):
        age_s(target(), 10 * SECOND - 1)


def test_stale_targets_are_refused() -> None:
    assert require_fresh(target(), 12 * SECOND, 2.0).label == "mug"
    with pytest.raises(InputError, match=r"'mug' must be at most 2 s old.*2\.001 s"):
        require_fresh(target(), 12_001_000_000, 2.0)
    with pytest.raises(InputError, match="above zero"):
        require_fresh(target(), 12 * SECOND, 0.0)
    kept = fresh([target(), target(11 * SECOND)], 12 * SECOND, 1.5)
    assert [each.stamp_ns for each in kept] == [11 * SECOND]


def test_the_pose_at_capture_counts() -> None:
    found = at_capture(target(11_500_000_000), moving_camera())
    np.testing.assert_allclose(found.position_m, [0.1 + 0.075, 0.0, 0.9], atol=1e-12)
    assert (found.frame, found.stamp_ns) == ("base", 11_500_000_000)


def test_the_moved_camera_sees_it_elsewhere() -> None:
    # Three seconds at 5 cm/s to the right: the thing is 15 cm further left.
    found = seen_from_now(target(), moving_camera(), 13 * SECOND)
    np.testing.assert_allclose(found.position_m, [0.1 - 0.15, 0.0, 0.6], atol=1e-12)
    assert (found.frame, found.stamp_ns) == ("camera", 10 * SECOND)
    np.testing.assert_allclose(found.covariance_m2, target().covariance_m2, atol=1e-18)


def test_unknown_poses_are_refused() -> None:
    with pytest.raises(InputError, match="outside the known poses"):
        at_capture(target(7 * SECOND), moving_camera())
    with pytest.raises(InputError, match="outside the known poses"):
        seen_from_now(target(), moving_camera(), 16 * SECOND)
    with pytest.raises(FrameError, match="must hold the poses of the target's camera"):
        at_capture(target(frame="other"), moving_camera())
