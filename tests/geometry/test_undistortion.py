"""Undistorted points, boxes and images, with OpenCV as the reference."""

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.undistortion import undistorted_box, undistorted_image, undistorted_points, without_distortion

BARREL = Intrinsics(160, 120, 130.0, 131.0, 81.0, 58.0, "brown_conrady", (-0.25, 0.06, 0.002, -0.001, 0.0))
FISHEYE = Intrinsics(160, 120, 70.0, 70.0, 80.0, 60.0, "equidistant", (-0.02, 0.01, -0.008, 0.002))


def test_points_lie_on_the_rays_of_the_pinhole_camera() -> None:
    uv = np.array([[20.0, 30.0], [81.0, 58.0], [150.0, 110.0]])
    for camera in (BARREL, FISHEYE):
        moved = undistorted_points(uv, camera)
        np.testing.assert_allclose(without_distortion(camera).deproject(moved, 0.7), camera.deproject(uv, 0.7), atol=1e-12)


def test_a_box_encloses_its_curved_border() -> None:
    left, top, right, bottom = undistorted_box((10.0, 8.0, 150.0, 110.0), BARREL)
    corners = undistorted_points([[10.0, 8.0], [150.0, 8.0], [10.0, 110.0], [150.0, 110.0]], BARREL)
    assert left == corners[:, 0].min() and bottom == corners[:, 1].max() and right > 159.0 and top < 2.0
    # A barrel pushes the corners out: seen from a pincushion, the middle of the side is the outermost.
    pincushion = Intrinsics(160, 120, 130.0, 131.0, 81.0, 58.0, "brown_conrady", (0.25, 0.0, 0.0, 0.0, 0.0))
    inner = undistorted_points([[10.0, 8.0], [10.0, 110.0]], pincushion)[:, 0].min()
    assert undistorted_box((10.0, 8.0, 150.0, 110.0), pincushion)[0] < inner - 0.5
    assert np.isnan(undistorted_box((0.0, 0.0, 5000.0, 10.0), FISHEYE)).all()


@pytest.mark.parametrize("camera", [BARREL, FISHEYE], ids=["barrel", "fisheye"])
def test_images_as_opencv_undistorts_them(camera: Intrinsics) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is the reference and is not installed")
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 3.0)
    undistort = cv2.fisheye.undistortImage if camera.distortion_model == "equidistant" else cv2.undistort
    arguments = (np.array(camera.matrix), np.array(camera.distortion))
    theirs = undistort(image, *arguments, **({"Knew": camera.matrix} if undistort is cv2.fisheye.undistortImage else {}))
    ours = undistorted_image(image, camera)
    inner = (slice(12, -12), slice(12, -12))
    assert np.abs(ours[inner].astype(int) - theirs[inner].astype(int)).max() <= 2
    assert ours.shape == image.shape and ours.dtype == np.uint8


def test_depth_is_not_mixed_over_an_edge() -> None:
    depth = np.where(np.arange(160) < 70, 0.5, 1.5) * np.ones((120, 1))
    found = undistorted_image(depth.astype(np.float32), BARREL)
    assert found.dtype == np.float32 and set(np.unique(found[np.isfinite(found)])) == {0.5, 1.5}
    narrow = undistorted_image(
        depth.astype(np.float32), Intrinsics(160, 120, 130.0, 131.0, 81.0, 58.0, "thin_prism", (0.5,) + (0.0,) * 11)
    )
    assert np.isnan(narrow).any()
    plain = without_distortion(BARREL)
    assert np.array_equal(undistorted_image(depth, plain), depth)
    with pytest.raises(InputError, match="size of the intrinsics"):
        undistorted_image(depth[:-1], BARREL)
