"""A history of poses: exact, in between, and never beyond."""

import numpy as np
import pytest

from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.poses import PoseHistory, between
from molmo_point.geometry.transforms import Transform


def pose(turn_rad: float, x_m: float, covariance: np.ndarray | None = None) -> Transform:
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    return Transform("base", "camera", np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.array([x_m, 0, 0.5]), covariance)


def history() -> PoseHistory:
    poses = PoseHistory("base", "camera")
    poses.add(pose(0.0, 0.0), 1_000_000_000)
    poses.add(pose(0.4, 0.02), 1_200_000_000)
    poses.add(pose(0.2, 0.01), 1_100_000_000)
    return poses


def angle(transform: Transform) -> float:
    return float(np.arctan2(transform.rotation[1, 0], transform.rotation[0, 0]))


def test_in_between() -> None:
    found = history().at(1_125_000_000)
    assert angle(found) == pytest.approx(0.25)
    assert found.translation_m[0] == pytest.approx(0.0125)
    assert (found.target, found.source) == ("base", "camera")
    assert angle(history().at(1_100_000_000)) == pytest.approx(0.2)


def test_the_shorter_turn() -> None:
    assert abs(angle(between(pose(3.0, 0.0), pose(-3.0, 0.0), 0.5))) == pytest.approx(np.pi)
    assert angle(between(pose(3.0, 0.0), pose(-3.0, 0.0), 0.25)) == pytest.approx(3.0 + 0.25 * (2 * np.pi - 6.0))
    # By quaternions of w >= 0, +-3 rad are on opposite sides.
    assert pose(3.0, 0.0).quaternion_xyzw @ pose(-3.0, 0.0).quaternion_xyzw < 0
    for share in (0.25, 0.5):
        assert angle(between(pose(0.3, 0.0), pose(0.3, 1.0), share)) == pytest.approx(0.3)


def test_covariance_of_the_nearer_pose() -> None:
    one, other = pose(0.0, 0.0, np.eye(6) * 1e-6), pose(0.1, 0.0, np.eye(6) * 4e-6)
    assert between(one, other, 0.4).covariance[0, 0] == 1e-6
    assert between(one, other, 0.6).covariance[0, 0] == 4e-6


@pytest.mark.parametrize("stamp_ns", [999_999_999, 1_200_000_001])
def test_nothing_is_extrapolated(stamp_ns: int) -> None:
    with pytest.raises(InputError, match="outside the known poses") as caught:
        history().at(stamp_ns)
    assert "1000000000 to 1200000000" in caught.value.given


def test_gaps_memory_and_replacement() -> None:
    poses = PoseHistory("base", "camera", keep_s=1.0, max_gap_s=0.3)
    for stamp_ns, x_m in ((0, 0.0), (200_000_000, 0.1), (900_000_000, 0.2), (1_100_000_000, 0.3)):
        poses.add(pose(0.0, x_m), stamp_ns)
    with pytest.raises(InputError, match=r"gap of 0\.700 s"):
        poses.at(500_000_000)
    with pytest.raises(InputError, match="outside"):
        poses.at(100_000_000)
    poses.add(pose(0.0, 0.7), 900_000_000)
    assert poses.at(900_000_000).translation_m[0] == 0.7
    assert poses.at(1_000_000_000).translation_m[0] == pytest.approx(0.5)
    usual = PoseHistory("base", "camera")
    for stamp_ns in (0, 250_000_000, 35_000_000_000):
        usual.add(pose(0.0, 0.0), stamp_ns)
    with pytest.raises(InputError, match="known 35000000000"):
        usual.at(250_000_000)
    with pytest.raises(InputError, match="known none"):
        PoseHistory("base", "camera").at(0)
    with pytest.raises(FrameError, match="base_T_camera"):
        poses.add(Transform.identity("map", "camera"), 0)
