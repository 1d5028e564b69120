"""Fusing frames: what is averaged, what is not mixed, and everything that counts as movement."""

import dataclasses

import numpy as np
import pytest

from molmo_point.camera.frame_fusion import fuse_frames
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D435
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform

CAMERA = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
PICTURE = np.random.default_rng(0).integers(40, 200, (120, 160, 3)).astype(np.uint8)


def frames(count: int = 5, noise_m: float = 0.002) -> list[RgbdFrame]:
    rng = np.random.default_rng(1)
    return [
        RgbdFrame(
            np.clip(PICTURE + rng.normal(0, 3, PICTURE.shape), 0, 255).astype(np.uint8),
            (0.8 + rng.normal(0, noise_m, (120, 160))).astype(np.float32),
            CAMERA,
            stamp_ns=1_000_000_000 + number * 33_000_000,
            depth_noise=D435,
        )
        for number in range(count)
    ]


def with_depth(frame: RgbdFrame, change) -> RgbdFrame:
    depth = frame.depth_m.copy()
    change(depth)
    return dataclasses.replace(frame, depth_m=depth)


def pose(shift_m: float = 0.0, turn_rad: float = 0.0) -> Transform:
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return Transform("base", "camera", rotation, np.array([0.4, 0.0, 0.5 + shift_m]))


def test_median_of_still_frames() -> None:
    taken = frames()
    fused = fuse_frames(taken, [pose()] * 5)
    assert np.std(fused.depth_m) < 0.65 * np.std(taken[0].depth_m)
    assert np.mean(fused.depth_m) == pytest.approx(0.8, abs=1e-4)
    assert (fused.stamp_ns, fused.depth_noise) == (taken[-1].stamp_ns, D435)
    assert fused.color is taken[-1].color


def test_holes_are_filled_by_measurements_only() -> None:
    taken = frames(4)
    for number in range(4):
        taken[number] = with_depth(taken[number], lambda d, n=number: d[0, : n + 1].fill(np.nan))
    row = fuse_frames(taken).depth_m[0]
    # Column 0 is missing in all four frames, 1 in three, 2 in two, 3 in one.
    assert np.isnan(row[:2]).all()
    assert np.isfinite(row[2:]).all()


def test_flickering_surfaces_are_not_mixed() -> None:
    taken = frames(4, noise_m=0.0)
    taken[1:3] = [with_depth(frame, lambda d: d[5, 5:8].fill(1.3)) for frame in taken[1:3]]
    assert fuse_frames(taken).depth_m[5, 6] == pytest.approx(0.8)


def test_movement_is_refused_and_told() -> None:
    taken = frames()
    still = [pose()] * 4
    shifted = dataclasses.replace(taken[4], color=np.roll(taken[4].color, 2, axis=1))
    moved = with_depth(taken[4], lambda d: d[:20].__iadd__(0.06))
    for given, poses, reason in (
        ([*taken[:4], shifted], None, "of the image changed"),
        ([*taken[:4], moved], None, "of the depth changed"),
        ([*taken[:4], dataclasses.replace(taken[4], stamp_ns=3_000_000_000)], None, "span"),
        ([taken[0], taken[1], taken[1]], None, "stamps"),
        (taken, [*still, pose(0.003)], r"3\.0 mm"),
        (taken, [*still, pose(0.0, 0.01)], r"0\.57 deg"),
    ):
        with pytest.raises(InputError, match=reason):
            fuse_frames(given, poses)
    fuse_frames(taken, [pose(), pose(0.0005), pose(0.0, 0.001), pose(), pose()])


def test_frames_that_cannot_be_compared() -> None:
    taken = frames()
    other = dataclasses.replace(taken[2], intrinsics=dataclasses.replace(CAMERA, fx=151.0))
    for bad, part in (
        (taken[:2], "three"),
        ([*taken[:2], other], "camera setting"),
        ([*taken[:2], dataclasses.replace(taken[2], frame="other")], "camera setting"),
        ([*taken[:2], dataclasses.replace(taken[2], depth_m=None)], "without depth"),
    ):
        with pytest.raises(InputError, match=part):
            fuse_frames(bad)
    with pytest.raises(InputError, match="pose"):
        fuse_frames(taken, [pose()] * 4)
