"""Depth seen from another camera: positions against the truth, what hides what, sizes, lenses, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.geometry.alignment import align_depth
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform

DEPTH = Intrinsics(212, 120, 106.0, 107.0, 104.3, 61.2)
COLOR = Intrinsics(320, 240, 305.0, 304.0, 161.7, 118.2, "brown_conrady", (0.08, -0.12, 0.002, -0.001, 0.02))
ASIDE = Transform("color", "depth", np.eye(3), np.array([0.015, -0.002, 0.001]))


def wall(camera: Intrinsics, normal: np.ndarray, offset_m: float) -> np.ndarray:
    """Depth (h, w) of the plane normal . p = offset_m of the camera's own frame."""
    pixels = np.stack(np.meshgrid(np.arange(float(camera.width)), np.arange(float(camera.height))), axis=-1)
    return offset_m / (camera.deproject(pixels, 1.0) @ normal)


def turned(angle_rad: float) -> Transform:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return Transform("color", "depth", np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), np.array([0.03, -0.01, 0.02]))


@pytest.mark.parametrize("color_T_depth", [ASIDE, turned(0.03), turned(-0.05)])
def test_a_slanted_wall_stays_where_it_is(color_T_depth: Transform) -> None:
    normal = np.array([0.3, -0.2, 1.0]) / np.linalg.norm([0.3, -0.2, 1.0])
    aligned = align_depth(wall(DEPTH, normal, 0.7).astype(np.float32), DEPTH, COLOR, color_T_depth)
    there = color_T_depth.rotation @ normal
    truth = wall(COLOR, there, 0.7 + float(there @ color_T_depth.translation_m))
    seen = np.isfinite(aligned)
    assert aligned.shape == (240, 320) and aligned.dtype == np.float32
    assert seen[60:180, 80:240].all()
    # Right in the middle of each square, off by the slope at its corners, half a depth pixel away in both directions.
    corner = 0.5 * (0.3 + 0.2) * truth / 106 * 1.4
    assert (np.abs(aligned - truth) < corner)[seen].all()
    assert abs(np.mean((aligned - truth)[seen])) < 2e-4


def test_what_the_near_object_hides_is_not_seen_through_it() -> None:
    depth = np.full((120, 212), 1.0, np.float32)
    depth[40:80, 90:120] = 0.3
    aligned = align_depth(depth, DEPTH, replace(COLOR, distortion_model="none", distortion=()), ASIDE)
    u0, v0 = 305 * ((89.5 - 104.3) / 106 * 0.3 + 0.015) / 0.301 + 161.7, 304 * ((39.5 - 61.2) / 107 * 0.3 - 0.002) / 0.301 + 118.2
    u1, v1 = (
        305 * ((119.5 - 104.3) / 106 * 0.3 + 0.015) / 0.301 + 161.7,
        304 * ((79.5 - 61.2) / 107 * 0.3 - 0.002) / 0.301 + 118.2,
    )
    inside = aligned[int(np.ceil(v0)) : int(np.ceil(v1)), int(np.ceil(u0)) : int(np.ceil(u1))]
    np.testing.assert_allclose(inside, 0.301, atol=1e-6)
    # Where nothing else is seen beside it, it may be wider by a quarter of a pixel: one row or column.
    rows, columns = np.nonzero(np.abs(aligned - 0.301) < 0.01)
    assert np.ptp(rows) + 1 <= inside.shape[0] + 1 and np.ptp(columns) + 1 <= inside.shape[1] + 1
    # To its left the color camera looks past it at wall that the depth camera did not see.
    row = aligned[int((v0 + v1) / 2)]
    edge = int(np.ceil(u0))
    shadow_px = 305 * 0.015 * (1 / 0.3 - 1 / 1.0)
    assert np.isnan(row[edge - int(shadow_px) + 2 : edge - 1]).all()
    assert row[edge - int(shadow_px) - 4] == pytest.approx(1.001, abs=1e-6)


def test_half_size_depth_keeps_its_edges() -> None:
    full = Intrinsics(320, 240, 305.0, 304.0, 161.7, 118.2)
    depth = np.full((120, 160), 0.8, np.float32)
    depth[30:60, 50:90] = 0.5
    depth[70:80, 20:30] = np.nan
    aligned = align_depth(depth, full.scaled(160, 120), full, Transform.identity("color", "depth"))
    np.testing.assert_array_equal(aligned, np.kron(depth, np.ones((2, 2), np.float32)))


def test_behind_the_other_camera_is_nothing() -> None:
    ahead = Transform("color", "depth", np.eye(3), np.array([0.0, 0.0, -0.9]))
    assert np.isnan(align_depth(np.full((120, 212), 0.8, np.float32), DEPTH, COLOR, ahead)).all()
    assert np.isnan(align_depth(np.full((120, 212), np.nan, np.float32), DEPTH, COLOR, ASIDE)).all()


def test_refused() -> None:
    with pytest.raises(InputError, match="size"):
        align_depth(np.ones((240, 320), np.float32), DEPTH, COLOR, ASIDE)
    with pytest.raises(InputError, match="float"):
        align_depth(np.ones((120, 212), np.uint16), DEPTH, COLOR, ASIDE)
    with pytest.raises(InputError, match="cover a small part"):
        align_depth(np.full((120, 212), 0.8, np.float32), DEPTH, replace(COLOR, fx=3000.0, fy=3000.0), ASIDE)
