"""Lens models against OpenCV and librealsense, their inverse, derivative and fold, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.lens_models import COEFFICIENTS, Lens

BROWN = (0.1, -0.2, 0.01, -0.02, 0.05)
# Of an Azure Kinect's color camera, an OAK-D's and a ChArUco calibration with CALIB_TILTED_MODEL.
KINECT = (0.52, -2.73, 0.0008, -0.0003, 1.55, 0.40, -2.55, 1.48)
PRISM = (0.3, -0.1, 0.001, -0.002, 0.02, 0.25, -0.05, 0.01, 0.004, -0.002, -0.003, 0.001)
FISHEYE = (-0.02, 0.01, -0.008, 0.002)
LENSES = {
    "brown_conrady": Lens("brown_conrady", BROWN),
    "inverse_brown_conrady": Lens("inverse_brown_conrady", BROWN),
    "rational_polynomial": Lens("rational_polynomial", KINECT),
    "thin_prism": Lens("thin_prism", PRISM),
    "thin_prism, tilted": Lens("thin_prism", (*PRISM, 0.03, -0.05)),
    "equidistant": Lens("equidistant", FISHEYE),
    "equidistant, ideal": Lens("equidistant", (0.0,) * 4),
}


def rays(reach: float) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(0).uniform(-reach, reach, (2, 400))
    x[0], y[0] = 0.0, 0.0
    return x, y


def opencv_distorted(lens: Lens, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is the reference and is not installed")
    points, none = np.stack([x, y, np.ones_like(x)], axis=-1)[:, None], np.zeros(3)
    project = cv2.fisheye.projectPoints if lens.model == "equidistant" else cv2.projectPoints
    return project(points, none, none, np.eye(3), np.array(lens.coefficients))[0][:, 0]


@pytest.mark.parametrize("name", [name for name in LENSES if name != "inverse_brown_conrady"])
def test_same_as_opencv(name: str) -> None:
    lens = LENSES[name]
    x, y = rays(2.5 if lens.model == "equidistant" else 0.6)
    np.testing.assert_allclose(np.stack(lens.distort(x, y), axis=-1), opencv_distorted(lens, x, y), atol=1e-12)


@pytest.mark.parametrize("name", ["brown_conrady", "rational_polynomial", "thin_prism", "thin_prism, tilted", "equidistant"])
def test_undistorted_as_opencv_does(name: str) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is the reference and is not installed")
    lens = LENSES[name]
    x, y = rays(0.3)
    stop, eye = (3, 200, 1e-14), np.eye(3)
    pixels, coefficients = np.stack([x, y], axis=-1)[:, None], np.array(lens.coefficients)
    if lens.model == "equidistant":
        theirs = cv2.fisheye.undistortPoints(pixels, eye, coefficients, criteria=stop)
    else:
        # The name of OpenCV 4 for the function with a criterion.
        undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)
        theirs = undistort(pixels, eye, coefficients, R=eye, P=eye, criteria=stop)
    np.testing.assert_allclose(np.stack(lens.undistort(x, y), axis=-1), theirs[:, 0], atol=1e-8)


def test_fisheye_same_as_librealsense() -> None:
    rs = pytest.importorskip("pyrealsense2", reason="pyrealsense2 is the reference and is not installed")
    theirs = rs.intrinsics()
    theirs.width, theirs.height, theirs.fx, theirs.fy, theirs.ppx, theirs.ppy = 848, 800, 286.0, 286.0, 420.0, 400.0
    theirs.model, theirs.coeffs = rs.distortion.kannala_brandt4, [*FISHEYE, 0.0]
    ours = Intrinsics(848, 800, 286.0, 286.0, 420.0, 400.0, "kannala_brandt4", FISHEYE)
    for uv in ([420.0, 400.0], [100.0, 300.0], [500.0, 700.0], [700.0, 390.0]):
        expected = rs.rs2_deproject_pixel_to_point(theirs, uv, 0.7)
        np.testing.assert_allclose(ours.deproject(uv, 0.7), expected, atol=2e-5)
        np.testing.assert_allclose(ours.project(expected), rs.rs2_project_point_to_pixel(theirs, expected), atol=1e-3)


@pytest.mark.parametrize("name", LENSES)
def test_law_undistort_undoes_distort(name: str) -> None:
    lens = LENSES[name]
    x, y = rays(20.0 if lens.model == "equidistant" else 0.7)
    back = lens.undistort(*lens.distort(x, y))
    np.testing.assert_allclose(np.stack(back), np.stack([x, y]), atol=1e-9)
    assert np.array_equal(np.isnan(lens.undistort(np.full(3, np.nan), x[:3])[0]), [True] * 3)


@pytest.mark.parametrize("name", LENSES)
def test_jacobian_is_the_derivative(name: str) -> None:
    lens, step = LENSES[name], 1e-6
    x, y = rays(3.0 if lens.model == "equidistant" else 0.6)
    columns = [
        (np.stack(lens.distort(x + a, y + b), axis=-1) - np.stack(lens.distort(x - a, y - b), axis=-1)) / (2.0 * step)
        for a, b in ((step, 0.0), (0.0, step))
    ]
    np.testing.assert_allclose(lens.jacobian(x, y), np.stack(columns, axis=-1), atol=1e-8)


@pytest.mark.parametrize(
    ("lens", "fold"),
    [
        (Lens(), math.inf),
        (Lens("brown_conrady", (0.1, 0.05, 0.0, 0.0, 0.0)), math.inf),
        (Lens("brown_conrady", (-0.4, 0.0, 0.0, 0.0, 0.0)), math.sqrt(1.0 / 1.2)),
        # r (1 + 0.2 r^2) / (1 + r^2) grows until r^2 = 1.
        (Lens("rational_polynomial", (0.2 / 3.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)), None),
        # A pole: the distorted radius reaches infinity at r = 2.
        (Lens("rational_polynomial", (0.0, 0.0, 0.0, 0.0, 0.0, -0.25, 0.0, 0.0)), 2.0),
        (Lens("equidistant", (0.0,) * 4), math.inf),
        (Lens("equidistant", (-0.5, 0.0, 0.0, 0.0)), math.tan(math.sqrt(1.0 / 1.5))),
    ],
)
def test_fold(lens: Lens, fold: float | None) -> None:
    if fold is None:
        radius = np.linspace(0.0, 30.0, 300_001)
        fold = radius[np.argmax(np.diff(lens.distort(radius, np.zeros_like(radius))[0]) <= 0.0)]
    assert lens.fold == pytest.approx(fold, abs=2e-4)
    assert lens.unfolded(np.array([0.999 * min(fold, 1e6)]), np.zeros(1)).all()
    if math.isfinite(fold):
        assert not lens.unfolded(np.array([1.001 * fold]), np.zeros(1)).any()


@pytest.mark.parametrize("model", [model for model in COEFFICIENTS if model != "none"])
def test_neither_a_pixel_nor_a_ray_beyond_the_fold(model: str) -> None:
    first = {"equidistant": -0.35, "rational_polynomial": 0.0, "thin_prism": 0.0}.get(model, -0.4)
    coefficients = [first, *(0.0,) * (len(COEFFICIENTS[model]) - 1)]
    if "k6" in COEFFICIENTS[model]:
        coefficients[6] = 0.9
    camera = Intrinsics(640, 480, 620.0, 620.0, 319.5, 239.5, model, tuple(coefficients))
    fold = camera.lens.fold
    assert np.isfinite(camera.project([0.99 * fold, 0.0, 1.0])).all() and np.isnan(camera.project([1.01 * fold, 0.0, 1.0])).all()
    wide = np.stack(np.meshgrid(np.linspace(-2000, 2600, 300), np.linspace(-2000, 2600, 300)), axis=-1)
    seen = camera.deproject(wide, 1.0)
    good = np.isfinite(seen[..., 0])
    assert 0.01 < good.mean() < 0.9
    assert np.hypot(seen[good][:, 0], seen[good][:, 1]).max() < fold
    np.testing.assert_allclose(camera.project(seen[good]), wide[good], atol=1e-3)


def test_a_fisheye_of_180_degrees_in_a_dark_frame() -> None:
    camera = Intrinsics(800, 800, 254.0, 254.0, 399.5, 399.5, "fisheye", (0.0,) * 4)
    assert camera.distortion_model == "equidistant"
    rays_at = camera.deproject([[399.5, 399.5], [399.5 + 254.0, 399.5], [0.0, 0.0]], 1.0)
    np.testing.assert_allclose(rays_at[:2], [[0.0, 0.0, 1.0], [math.tan(1.0), 0.0, 1.0]], atol=1e-12)
    assert np.isnan(rays_at[2, 0])


REAL = {
    "Azure Kinect, color": (1280, 720, 610.6, 610.4, 638.9, 366.0, "rational_polynomial", KINECT),
    "Azure Kinect, wide depth": (
        *(1024, 1024, 504.3, 504.4, 512.4, 514.6, "rational_polynomial"),
        (4.44, 2.57, -3.7e-5, 9.2e-6, 0.116, 4.78, 4.06, 0.684),
    ),
    "OAK-D, rational": (
        *(1920, 1080, 1500.0, 1500.0, 960.0, 540.0, "rational_polynomial"),
        (-4.7, 13.9, 0.0003, -0.0005, -3.6, -4.8, 14.0, -3.8),
    ),
    "T265": (848, 800, 286.2, 286.4, 420.0, 397.1, "kannala_brandt4", (-0.0067, 0.0431, -0.0412, 0.0073)),
    "circle in a wide frame": (1920, 1080, 340.0, 340.0, 959.5, 539.5, "fisheye", (0.0,) * 4),
}


@pytest.mark.parametrize("name", REAL)
def test_lenses_of_real_cameras_are_accepted(name: str) -> None:
    camera = Intrinsics(*REAL[name])
    pixels = np.array([[camera.cx, 20.0], [camera.cx + 0.4 * camera.height, camera.cy]])
    np.testing.assert_allclose(camera.project(camera.deproject(pixels, 0.7)), pixels, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "coefficients", "part"),
    [
        ("ftheta", (0.9,), "'ftheta'"),
        ("rational_polynomial", BROWN, "8 coefficients"),
        ("thin_prism", KINECT, "14, or 12 without the tilt"),
        ("fisheye", BROWN, "4 coefficients for the model equidistant"),
        ("equidistant", (-0.9, 0.0, 0.0, 0.0), "% of the image"),
        ("rational_polynomial", (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 20.0, 0.0), "% of the image"),
    ],
)
def test_refused(model: str, coefficients: tuple[float, ...], part: str) -> None:
    with pytest.raises(InputError) as caught:
        Intrinsics(640, 480, 600.0, 610.0, 322.0, 239.0, model, coefficients)
    assert part in str(caught.value)


@pytest.mark.parametrize("name", LENSES)
def test_scaled_cropped_and_dict_keep_the_lens(name: str) -> None:
    lens = LENSES[name]
    camera = Intrinsics(640, 480, 600.0, 610.0, 322.0, 239.0, lens.model, lens.coefficients)
    assert Intrinsics.from_dict(camera.to_dict()) == camera
    point = camera.deproject([500.0, 100.0], 0.8)
    np.testing.assert_allclose(camera.scaled(320, 240).project(point), [250.0 - 0.25, 50.0 - 0.25], atol=1e-9)
    np.testing.assert_allclose(camera.cropped(400, 50, 200, 160).project(point), [100.0, 50.0], atol=1e-9)


@pytest.mark.parametrize(("count", "model"), [(5, "brown_conrady"), (8, "rational_polynomial"), (12, "thin_prism"), (4, None)])
def test_coefficients_without_a_model_are_read_by_their_number(count: int, model: str | None) -> None:
    values = {"width": 640, "height": 480, "fx": 600, "fy": 610, "cx": 322, "cy": 239, "distortion": [0.01] * count}
    if model is None:
        with pytest.raises(InputError, match=r"(?s)must tell their model.*equidistant"):
            Intrinsics.from_dict(values)
        return
    assert Intrinsics.from_dict(values).distortion_model == model


def test_every_pixel_has_its_ray_up_to_a_strong_barrel_s_corner() -> None:
    # The fixed point of the radial factor diverges here; Newton's method does not.
    camera = Intrinsics(640, 480, 480.0, 480.0, 319.5, 239.5, "brown_conrady", (-0.25, 0.05, 0.001, -0.001, 0.0))
    corners = np.array([[-0.5, -0.5], [639.5, -0.5], [-0.5, 479.5], [639.5, 479.5]])
    np.testing.assert_allclose(camera.project(camera.deproject(corners, 1.0)), corners, atol=1e-9)
    assert dataclasses.replace(camera).lens.fold > 1.3
