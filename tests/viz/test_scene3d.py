"""The point cloud, its PLY file, and its picture."""

import math
from pathlib import Path

import numpy as np
import pytest

from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.results import DepthStatus, Target
from molmo_point.viz.point_cloud import cloud_of, ellipsoid_surface, save_ply
from molmo_point.viz.scene3d import VirtualCamera, _hull, _splat, render_scene
from molmo_point.viz.text import AMBER

INTRINSICS = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
CAMERA = "cam"


def make_frame(hole: bool = False) -> RgbdFrame:
    color = np.full((120, 160, 3), 60, np.uint8)
    depth = np.full((120, 160), 0.9, np.float32)
    color[40:80, 60:100] = (220, 20, 20)
    depth[40:80, 60:100] = 0.7
    if hole:
        depth[:60] = np.nan
    return RgbdFrame(color, depth, INTRINSICS, 1, CAMERA)


def make_target(frame: str = CAMERA, position=(0.0, 0.0, 0.7), sigma_m: float = 0.01) -> Target:
    covariance = np.diag([sigma_m**2, sigma_m**2, (sigma_m / 2) ** 2])
    return Target(79.5, 59.5, "box", 0.9, np.array(position), covariance, frame, 1, DepthStatus.OK, math.nan, 1.0)


def test_cloud_is_deprojected_colored_and_free_of_holes_and_edges():
    points, colors, pixel_m = cloud_of(make_frame(hole=True))
    assert np.isfinite(points).all() and len(points) == len(colors) == len(pixel_m)
    red = colors[:, 0] > 200
    assert np.allclose(points[red, 2], 0.7) and np.allclose(points[~red, 2], 0.9)
    # The box spans pixels 61..98 without its edges, rows 61..78 below the hole.
    assert points[red, 0].min() == pytest.approx((61 - 79.5) / 150 * 0.7)
    assert points[red, 1].max() == pytest.approx((78 - 59.5) / 150 * 0.7)
    assert pixel_m[red] == pytest.approx(0.7 / 150)


def test_cloud_without_depth_is_an_error():
    bare = RgbdFrame(make_frame().color, None, INTRINSICS, 1, CAMERA)
    with pytest.raises(InputError, match="without depth"):
        cloud_of(bare)


def test_ellipsoid_has_the_axes_of_the_covariance():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3)) * 0.01
    covariance = root @ root.T
    surface = ellipsoid_surface(np.array([1.0, 2, 3]), covariance, 2.0) - np.array([1.0, 2, 3])
    distance = np.sqrt(np.einsum("ni,ij,nj->n", surface, np.linalg.inv(covariance), surface))
    np.testing.assert_allclose(distance, 2.0, rtol=1e-6)


def read_ply(path: Path) -> np.ndarray:
    header, _, body = path.read_bytes().partition(b"end_header\n")
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\n")
    kinds = [("xyz", "<f4", (3,)), ("rgb", "u1", (3,))]
    vertices = np.frombuffer(body, dtype=kinds)
    assert f"element vertex {len(vertices)}\n".encode() in header
    return vertices


def test_ply_holds_cloud_and_targets(tmp_path: Path):
    frame, target = make_frame(), make_target()
    without = save_ply(tmp_path / "a.ply", frame)
    with_target = save_ply(tmp_path / "b.ply", frame, (target,))
    plain, marked = read_ply(tmp_path / "a.ply"), read_ply(tmp_path / "b.ply")
    assert len(plain) == without and len(marked) == with_target > without
    np.testing.assert_allclose(plain["xyz"], cloud_of(frame)[0], atol=1e-6)
    shell = marked["xyz"][without:]
    np.testing.assert_allclose(shell.mean(axis=0), [0, 0, 0.7], atol=1e-3)
    assert np.ptp(shell[:, 0]) == pytest.approx(0.04, rel=1e-2) and np.ptp(shell[:, 2]) == pytest.approx(0.02, rel=1e-2)
    with pytest.raises(InputError, match="must be in the frame"):
        save_ply(tmp_path / "c.ply", frame, (make_target("base"),))


BASE_T_CAMERA = Transform(
    target="base",
    source=CAMERA,
    rotation=np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0]]),
    translation_m=np.array([0.1, 0.2, 0.9]),
)


@pytest.mark.parametrize("base_T_camera", [None, BASE_T_CAMERA])
def test_picture_shows_the_cloud_and_a_target_on_its_object(base_T_camera):
    frame = make_frame()
    plain = render_scene(frame, base_T_camera=base_T_camera, size_wh=(320, 240), azimuth_rad=0.3)
    marked = render_scene(
        frame, (make_target(),), base_T_camera=base_T_camera, size_wh=(320, 240), azimuth_rad=0.3, banner="query"
    )
    assert plain.shape == marked.shape == (240, 320, 3) and plain.dtype == np.uint8
    red = (plain[..., 0] > 150) & (plain[..., 1] < 80)
    # The x axis of the corner drawing is red too.
    red[150:, :120] = False
    assert red.sum() > 300
    assert (marked != plain).any()


def test_a_target_under_caution_is_an_outline_below_an_amber_banner():
    frame, target = make_frame(), make_target(sigma_m=0.05)
    base = {"size_wh": (560, 400), "banner": "point to: box"}
    sure = render_scene(frame, (target,), **base)
    doubtful = render_scene(frame, (target,), cautions=["unfamiliar image"], doubtful=[0], **base)
    amber = np.abs(doubtful.astype(int) - np.array(AMBER)).max(axis=-1) < 45
    assert amber[:60].sum() > 500 and not (np.abs(sure[:60].astype(int) - np.array(AMBER)).max(axis=-1) < 45).any()
    # A fill would tint the inside; an outline leaves most of the picture as it is.
    other = render_scene(frame, (target,), cautions=["unfamiliar image"], **base)
    changed = (doubtful[60:].astype(int) != other[60:]).any(axis=-1)
    assert changed.sum() > 1000


def test_a_ply_file_carries_the_cautions(tmp_path: Path):
    frame, target = make_frame(), make_target()
    save_ply(tmp_path / "sure.ply", frame, (target,))
    save_ply(tmp_path / "doubtful.ply", frame, (target,), ["POOR_IMAGE: the image\nis dark"])
    sure, doubtful = (tmp_path.joinpath(f"{name}.ply").read_bytes() for name in ("sure", "doubtful"))
    head = doubtful.split(b"end_header")[0].decode().splitlines()
    assert "comment caution POOR_IMAGE: the image\\nis dark" in head
    assert sure[-3:] == bytes([255, 30, 30]) and doubtful[-3:] == bytes([168, 172, 178])


def test_picture_from_the_camera_s_own_place_looks_like_the_image():
    picture = render_scene(make_frame(), size_wh=(320, 240), azimuth_rad=0.0, elevation_rad=0.0)
    red = (picture[..., 0] > 150) & (picture[..., 1] < 80)
    red[150:, :120] = False
    _, u = np.nonzero(red)
    # Clamped to look down by 12 degrees at least; left and right are as in the image.
    assert abs(u.mean() - 159.5) < 4
    assert 0.15 < np.ptp(u) / 320 < 0.5


@pytest.mark.parametrize("near_first", [True, False])
def test_a_nearer_surface_hides_a_farther_one(near_first: bool):
    view = VirtualCamera(np.eye(3), np.zeros(3), 50.0, (21, 21))
    points = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]])
    colors = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)
    order = [0, 1] if near_first else [1, 0]
    canvas = _splat(view, points[order], colors[order], np.array([0.05, 0.2])[order])
    assert tuple(canvas[10, 10]) == (255, 0, 0)
    assert (canvas[..., 1] == 255).sum() > 20, "the larger far one shows around it"


def test_targets_of_unknown_frames_are_refused():
    with pytest.raises(FrameError, match="base"):
        render_scene(make_frame(), (make_target("base"),))
    with pytest.raises(FrameError, match="elsewhere"):
        render_scene(make_frame(), (make_target("elsewhere"),), base_T_camera=BASE_T_CAMERA)


def test_a_frame_without_any_depth_still_gives_a_picture():
    empty = RgbdFrame(make_frame().color, np.full((120, 160), np.nan, np.float32), INTRINSICS, 1, CAMERA)
    assert render_scene(empty, size_wh=(160, 120)).shape == (120, 160, 3)
    assert render_scene(empty, base_T_camera=BASE_T_CAMERA, size_wh=(160, 120)).shape == (120, 160, 3)


def test_hull_is_the_outline():
    square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2], [1, 1], [1, 0.5]])
    assert {tuple(corner) for corner in _hull(square)} == {(0, 0), (2, 0), (2, 2), (0, 2)}
