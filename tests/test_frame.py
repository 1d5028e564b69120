"""Frames: what is refused, and depth decoded once."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.errors import DependencyError, FrameError, InputError
from molmo_point.frame import RgbdFrame, decode_depth
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform

CAMERA = Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
COLOR = np.zeros((48, 64, 3), np.uint8)
DEPTH = np.full((48, 64), 0.6, np.float32)


def test_size_and_skew() -> None:
    frame = RgbdFrame(COLOR, DEPTH, CAMERA, 1_000_000_000, depth_stamp_ns=1_010_000_000)
    assert frame.size_wh == (64, 48)
    assert frame.skew_s == pytest.approx(0.010)
    assert RgbdFrame(COLOR, DEPTH, CAMERA, 5).skew_s == 0.0
    assert frame.frame == "camera_color_optical_frame"


def test_depth_and_intrinsics_may_be_absent() -> None:
    frame = RgbdFrame(COLOR, None, None, 0)
    assert frame.depth_m is None
    assert frame.intrinsics is None


def test_a_frame_of_a_frame_or_of_a_bare_image() -> None:
    frame = RgbdFrame(COLOR, DEPTH, CAMERA, 7)
    assert RgbdFrame.of(frame) is frame
    bare = RgbdFrame.of(COLOR)
    assert bare.color is COLOR
    assert (bare.depth_m, bare.intrinsics, bare.stamp_ns) == (None, None, 0)


@pytest.mark.parametrize(
    ("image", "given"),
    [
        ("color.png", "str 'color.png'"),
        (Path("color.png"), "color.png"),
        (None, "NoneType"),
        ([[0]], "list"),
        (Image.new("RGB", (64, 48)), "Image"),
        (COLOR[..., 0], r"shape \(48, 64\), uint8"),
        (COLOR.astype(np.float32), "float32"),
    ],
)
def test_what_is_no_frame_and_no_image_is_refused(image: object, given: str) -> None:
    with pytest.raises(InputError, match=given) as caught:
        RgbdFrame.of(image)  # type: ignore[arg-type]
    assert "convert" in caught.value.fix


def spoiled(value: float) -> np.ndarray:
    depth = DEPTH.copy()
    depth[3, 4] = value
    return depth


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"color": COLOR[..., 0]}, "color"),
        ({"color": COLOR.astype(np.float32)}, "color"),
        ({"color": np.zeros((48, 64, 4), np.uint8)}, "color"),
        ({"color": np.zeros((0, 64, 3), np.uint8)}, "color"),
        ({"color": [[0]]}, "list"),
        ({"depth_m": DEPTH.astype(np.float64)}, "float32"),
        ({"depth_m": DEPTH[::2, ::2].copy()}, "must be aligned"),
        ({"depth_m": DEPTH.T.copy()}, "must be aligned"),
        ({"depth_m": spoiled(0.0)}, "1 not above zero"),
        ({"depth_m": spoiled(np.inf)}, "1 infinite"),
        ({"depth_m": spoiled(-0.5)}, "above zero"),
        ({"intrinsics": CAMERA.scaled(128, 96)}, r"\(128, 96\)"),
        ({"stamp_ns": -1}, "stamp_ns"),
        ({"stamp_ns": 0.5}, "stamp_ns"),
        ({"stamp_ns": 10**400}, "stamp_ns"),
        ({"depth_stamp_ns": 1.5}, "depth_stamp_ns"),
        ({"frame": ""}, "name"),
        ({"frame": "camera\x1b]0;x\x07"}, "printable name"),
        ({"frame": "a\nb"}, "printable name"),
    ],
)
def test_refused(change: dict, part: str) -> None:
    values = {"color": COLOR, "depth_m": DEPTH, "intrinsics": CAMERA, "stamp_ns": 0} | change
    with pytest.raises(InputError, match=part) as caught:
        RgbdFrame(**values)
    assert caught.value.given
    assert caught.value.fix


def test_nan_is_how_depth_is_missing() -> None:
    assert np.isnan(RgbdFrame(COLOR, spoiled(np.nan), CAMERA, 0).depth_m[3, 4])


def test_decode_millimeters() -> None:
    depth = decode_depth(np.array([[0, 1, 612, 65535]], np.uint16))
    np.testing.assert_allclose(depth, [[np.nan, 0.001, 0.612, 65.535]], rtol=1e-6)
    assert depth.dtype == np.float32


def test_decode_d405_scale() -> None:
    np.testing.assert_allclose(decode_depth(np.array([[2500]], np.uint16), scale_m=1e-4), [[0.25]])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_decode_meters(kind: type) -> None:
    depth = decode_depth(np.array([[0.5, 0, -1, np.nan, np.inf, -np.inf]], kind))
    np.testing.assert_array_equal(depth, np.array([[0.5] + [np.nan] * 5], np.float32))


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint16), np.zeros(4, np.float32)])
def test_decode_refuses_pictures_of_depth(array: np.ndarray) -> None:
    with pytest.raises(InputError, match="one channel"):
        decode_depth(array)


@pytest.mark.parametrize("scale_m", [0.0, -1.0, np.nan, np.inf, 1e-9, 5000.0])
def test_decode_refuses_scales(scale_m: float) -> None:
    with pytest.raises(InputError, match="scale"):
        decode_depth(np.zeros((2, 2), np.uint16), scale_m=scale_m)


def test_cloud_of_open3d_holds_the_measured_points_with_their_colors() -> None:
    pytest.importorskip("open3d")
    depth = np.full((48, 64), np.nan, np.float32)
    depth[10, 20], depth[30, 40] = 0.5, 2.0
    color = COLOR.copy()
    color[10, 20] = (255, 51, 0)
    frame = RgbdFrame(color, depth, CAMERA, 0)
    cloud = frame.to_open3d()
    assert np.asarray(cloud.points) == pytest.approx(CAMERA.deproject([[20, 10], [40, 30]], [0.5, 2.0]))
    assert np.asarray(cloud.colors) == pytest.approx(np.array([[1.0, 0.2, 0.0], [0.0, 0.0, 0.0]]))
    lifted = Transform("base", frame.frame, np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 1.0]))
    near = frame.to_open3d(max_depth_m=1.0, base_T_camera=lifted)
    x, y, z = np.asarray(cloud.points)[0]
    assert np.asarray(near.points) == pytest.approx(np.array([[x, -y, 1.0 - z]]))


def test_cloud_of_open3d_is_refused_without_depth_and_for_wrong_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("open3d")
    frame = RgbdFrame(COLOR, DEPTH, CAMERA, 0)
    with pytest.raises(InputError, match="without depth"):
        RgbdFrame(COLOR, None, CAMERA, 0).to_open3d()
    with pytest.raises(InputError, match="max_depth_m"):
        frame.to_open3d(max_depth_m=0.0)
    with pytest.raises(FrameError):
        frame.to_open3d(base_T_camera=Transform.identity("base", "other"))
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(DependencyError, match="cloud"):
        frame.to_open3d()
