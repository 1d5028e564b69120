"""Pixels to rays and back: tables, laws, librealsense as the reference, and what is refused."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.camera.intrinsics_files.camera_choice import load_intrinsics
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics, within_image

PLAIN = Intrinsics(640, 480, 600.0, 610.0, 322.0, 239.0)
COEFFICIENTS = (0.1, -0.2, 0.01, -0.02, 0.05)
MODELS = ["brown_conrady", "inverse_brown_conrady"]


def distorted(model: str) -> Intrinsics:
    return dataclasses.replace(PLAIN, distortion_model=model, distortion=COEFFICIENTS)


def test_project_and_deproject_by_hand() -> None:
    np.testing.assert_allclose(PLAIN.project([0.1, -0.2, 0.5]), [322 + 120, 239 - 244])
    np.testing.assert_allclose(PLAIN.deproject([442.0, -5.0], 0.5), [0.1, -0.2, 0.5])
    np.testing.assert_array_equal(PLAIN.matrix, [[600, 0, 322], [0, 610, 239], [0, 0, 1]])
    assert PLAIN.size_wh == (640, 480)


def test_brown_conrady_by_hand() -> None:
    # k1 alone moves x = 0.5 by 0.5 * (1 + 0.1 * 0.25); p1, p2 alone by the tangential terms.
    radial = dataclasses.replace(PLAIN, distortion_model="brown_conrady", distortion=(0.1, 0, 0, 0, 0))
    np.testing.assert_allclose(radial.project([0.5, 0.0, 1.0]), [322 + 600 * 0.5 * 1.025, 239])
    tangential = dataclasses.replace(PLAIN, distortion_model="brown_conrady", distortion=(0, 0, 0.01, 0.02, 0))
    x = 0.3 + 2 * 0.01 * 0.3 * 0.2 + 0.02 * (0.13 + 2 * 0.09)
    y = 0.2 + 2 * 0.02 * 0.3 * 0.2 + 0.01 * (0.13 + 2 * 0.04)
    np.testing.assert_allclose(tangential.project([0.3, 0.2, 1.0]), [322 + 600 * x, 239 + 610 * y])


@pytest.mark.parametrize("model", MODELS)
def test_same_as_librealsense(model: str) -> None:
    rs = pytest.importorskip("pyrealsense2", reason="pyrealsense2 is the reference and is not installed")
    theirs = rs.intrinsics()
    theirs.width, theirs.height, theirs.fx, theirs.fy, theirs.ppx, theirs.ppy = 640, 480, 600.0, 610.0, 322.0, 239.0
    theirs.model, theirs.coeffs = getattr(rs.distortion, model), list(COEFFICIENTS)
    ours = distorted(model)
    for u in range(0, 640, 71):
        for v in range(0, 480, 67):
            expected = rs.rs2_deproject_pixel_to_point(theirs, [u, v], 0.7)
            np.testing.assert_allclose(ours.deproject([u, v], 0.7), expected, atol=2e-5)
            back = rs.rs2_project_point_to_pixel(theirs, expected)
            np.testing.assert_allclose(ours.project(expected), back, atol=1e-3)


@pytest.mark.parametrize("model", ["none", *MODELS])
@given(u=st.floats(0, 639), v=st.floats(0, 479), z=st.floats(0.05, 20))
def test_law_project_undoes_deproject(model: str, u: float, v: float, z: float) -> None:
    camera = PLAIN if model == "none" else distorted(model)
    point = camera.deproject([u, v], z)
    assert point[2] == z
    np.testing.assert_allclose(camera.project(point), [u, v], atol=1e-6)


@pytest.mark.parametrize("model", ["none", *MODELS])
def test_law_holds_for_arrays_of_any_shape(model: str) -> None:
    camera = PLAIN if model == "none" else distorted(model)
    rng = np.random.default_rng(0)
    uv = rng.uniform([0, 0], [639, 479], size=(4, 5, 2))
    z = rng.uniform(0.1, 5, size=(4, 5))
    points = camera.deproject(uv, z)
    assert points.shape == (4, 5, 3)
    np.testing.assert_allclose(camera.project(points), uv, atol=1e-6)
    np.testing.assert_array_equal(points[2, 3], camera.deproject(uv[2, 3], z[2, 3]))


def test_missing_stays_missing() -> None:
    assert np.all(np.isnan(PLAIN.deproject([10, 10], math.nan)))
    assert np.all(np.isnan(PLAIN.project([[0, 0, 0], [0.1, 0.1, -1], [0.1, 0.1, math.nan]])))


@pytest.mark.parametrize(
    ("uv", "margin_px", "within"),
    [
        ((-0.5, -0.5), 0.0, True),
        ((639.5, 479.5), 0.0, True),
        ((639.51, 100.0), 0.0, False),
        ((100.0, 479.51), 0.0, False),
        ((500.0, 100.0), 0.0, True),
        ((100.0, 500.0), 0.0, False),
        ((-0.51, 100.0), 0.0, False),
        ((0.4, 100.0), 1.0, False),
        ((638.5, 478.5), 1.0, True),
        ((638.6, 100.0), 1.0, False),
        ((math.nan, 100.0), 0.0, False),
    ],
)
def test_the_image_reaches_half_a_pixel_beyond_the_outer_centers(uv, margin_px, within) -> None:
    assert within_image(uv, (640, 480), margin_px) == within


def test_projected_inside_the_image_or_missing() -> None:
    uv = np.array([[100.0, 470.0], [600.0, 10.0], [640.0, 10.0], [100.0, 480.0]])
    found = PLAIN.project_inside(PLAIN.deproject(uv, 0.7))
    np.testing.assert_allclose(found[:2], uv[:2])
    assert np.all(np.isnan(found[2:]))
    assert np.all(np.isnan(PLAIN.project_inside([0.0, 0.0, -1.0])))


def test_distortion_that_cannot_be_undone_is_nan_not_a_wrong_ray() -> None:
    barrel = dataclasses.replace(PLAIN, distortion_model="brown_conrady", distortion=(-0.4, 0, 0, 0, 0))
    assert np.all(np.isfinite(barrel.deproject([400, 300], 1.0)))
    assert np.isnan(barrel.deproject([322 + 600 * 3.0, 239], 1.0)[0])


def test_scaled_keeps_pixel_edges() -> None:
    half = PLAIN.scaled(320, 240)
    edge = PLAIN.deproject([-0.5, -0.5], 1.0)
    np.testing.assert_allclose(half.project(edge), [-0.5, -0.5])
    far = PLAIN.deproject([639.5, 479.5], 1.0)
    np.testing.assert_allclose(half.project(far), [319.5, 239.5])
    assert half.size_wh == (320, 240)


def test_cropped_moves_the_origin() -> None:
    window = PLAIN.cropped(100, 50, 200, 160)
    point = PLAIN.deproject([150.0, 90.0], 1.0)
    np.testing.assert_allclose(window.project(point), [50.0, 40.0])
    assert window.size_wh == (200, 160)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"fx": 0.0}, "fx=0"),
        ({"fy": -600.0}, "fy=-600"),
        ({"cx": math.nan}, "cx"),
        ({"fx": math.inf}, "fx"),
        ({"width": 0}, "width"),
        ({"height": 480.5}, "height"),
        ({"fx": "wide"}, "wide"),
        ({"distortion_model": "fisheye"}, "equidistant"),
        ({"distortion_model": "brown_conrady", "distortion": (0.1, 0.2)}, "2 coefficients"),
        ({"distortion_model": "brown_conrady"}, "0 coefficients"),
        ({"distortion": (0.1, 0, 0, 0, 0)}, "none"),
        ({"distortion_model": "brown_conrady", "distortion": (0.1, 0, math.nan, 0, 0)}, "nan"),
        ({"distortion_model": ["plumb_bob"]}, "plumb_bob"),
        ({"fx": True}, "fx=True"),
        ({"distortion_model": False}, "False"),
        ({"width": np.True_}, "width="),
        ({"cx": 10**400}, "cx=1000"),
        ({"cx": 10**5000}, "cx="),
        ({"cy": [[[1.0] * 9] * 9] * 9}, "cy="),
        ({"distortion_model": "brown_conrady", "distortion": (0.1, False, 0, 0, 0)}, "False"),
        ({"distortion_model": "brown_conrady", "distortion": (-1.0, 0, 0, 0, 0)}, "% of the image"),
        ({"distortion_model": "inverse_brown_conrady", "distortion": (1e300,) * 5}, "100% of the image"),
        ({"distortion_model": "brown_conrady", "distortion": (0, 0, 1.0, 0, 0)}, "% of the image"),
        ({"distortion_model": "brown_conrady", "distortion": (3.0, 0, 0, 0, 0)}, "0.6"),
        ({"cropped_from": (0, 0, 1280)}, "1280"),
        ({"cropped_from": (0, 0, True, 720)}, "True"),
        ({"cropped_from": (700, 0, 1280, 720)}, "640 x 480 at (700, 0)"),
    ],
)
def test_refused(change: dict, part: str) -> None:
    with pytest.raises(InputError) as caught:
        dataclasses.replace(PLAIN, **change)
    assert part in str(caught.value)
    assert caught.value.given
    assert caught.value.fix


def test_a_ray_beyond_the_fold_of_the_lens_is_never_returned() -> None:
    """A pixel near the fold has two rays; the one beyond the fold looks elsewhere."""
    barrel = dataclasses.replace(PLAIN, distortion_model="brown_conrady", distortion=(-0.4, 0, 0, 0, 0))
    rng = np.random.default_rng(2)
    rays = barrel.deproject(rng.uniform([-0.5, -0.5], [639.5, 479.5], (4000, 2)), 1.0)
    fold = math.sqrt(1.0 / (3.0 * 0.4))
    assert np.nanmax(np.hypot(rays[:, 0], rays[:, 1])) <= fold
    assert np.isfinite(rays[:, 0]).mean() > 0.97


def test_a_point_far_outside_is_not_folded_back_into_the_image() -> None:
    barrel = dataclasses.replace(PLAIN, distortion_model="brown_conrady", distortion=(-0.4, 0, 0, 0, 0))
    assert np.isfinite(barrel.project_inside([0.3, 0.1, 1.0])).all()
    assert np.isnan(barrel.project_inside([1.6, 0.0, 1.0])).all()


@pytest.mark.parametrize(
    ("matrix", "part"),
    [
        ([[600, 0, 322], [0, 610, 239], [0, 0, 1]], None),
        ([[600, 30, 322], [0, 610, 239], [0, 0, 1]], "skew 30"),
        ([[600, 0, 322], [5, 610, 239], [0, 0, 1]], "below the diagonal 5"),
        ([[600, 0, 322], [0, 610, 239], [0, 0, 2]], "last row"),
        ([[600, 0, 322], [0, 610, math.nan], [0, 0, 1]], "nan"),
        (np.eye(3), "fx=1, fy=1"),
        (np.eye(4), "3x3"),
    ],
)
def test_camera_matrix(matrix, part: str | None) -> None:
    if part is None:
        assert Intrinsics.from_matrix((640, 480), matrix) == PLAIN
        return
    with pytest.raises(InputError) as caught:
        Intrinsics.from_matrix((640, 480), matrix)
    assert part in str(caught.value)


def test_wrong_last_axis_is_refused() -> None:
    with pytest.raises(InputError, match="length 3"):
        PLAIN.project([1.0, 2.0])
    with pytest.raises(InputError, match="length 2"):
        PLAIN.deproject([1.0, 2.0, 3.0], 1.0)


@pytest.mark.parametrize("model", MODELS)
def test_dict_round_trip(model: str) -> None:
    camera = distorted(model)
    assert Intrinsics.from_dict(json.loads(json.dumps(camera.to_dict()))) == camera


@pytest.mark.parametrize("name", ["camera.json", "camera.yaml"])
def test_load(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(json.dumps({"width": 640, "height": 480, "fx": 600, "fy": 610, "cx": 322, "cy": 239}))
    assert load_intrinsics(path) == PLAIN


def test_load_opencv_distortion_and_yaml(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text("width: 640\nheight: 480\nfx: 600\nfy: 610\ncx: 322\ncy: 239\ndistortion: [0.1, -0.2, 0.01, -0.02, 0.05]\n")
    assert load_intrinsics(path) == distorted("brown_conrady")
    path.write_text(path.read_text() + "distortion_model: plumb_bob\n")
    assert load_intrinsics(path) == distorted("brown_conrady")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "parsed"),
        ("[1, 2]", "mapping"),
        ('{"width": 640}', "missing"),
        ('{"width":640,"height":480,"fx":600,"fy":610,"cx":322,"cy":239,"distorsion":[1]}', "distorsion"),
        ('{"width":640,"height":480,"fx":600,"fy":610,"cx":322,"cy":239,"distortion":3}', "list"),
        ('{"width":640,"height":480,"fx":600,"fy":610,"cx":322,"cy":239,"distortion":false}', "list"),
        ('{"width":640,"height":480,"fx":600,"fy":610,"cx":322,"cy":239,"cropped_from":"all"}', "list"),
    ],
)
def test_load_refuses(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(text)
    with pytest.raises(InputError, match=part):
        load_intrinsics(path)


def test_load_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml"):
        load_intrinsics(tmp_path / "absent.yaml")


@pytest.mark.parametrize("value", ["٦٠٠", "6_00", "600 px", "0x258", "６００", "infinity", b"6_00"])
def test_a_number_in_words_is_no_number(value: object) -> None:
    with pytest.raises(InputError, match="fx must be a finite number"):
        Intrinsics.from_dict({"width": 640, "height": 480, "fx": value, "fy": 600, "cx": 319.5, "cy": 239.5})


def test_intrinsics_that_break_off_within_a_number_are_questioned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "width: 640\nheight: 480\nfx: 600\nfy: 600\ncy: 239.5\ncx: 319.5"
    for end, asked in (("", 1), ("\n", 0)):
        caplog.clear()
        (tmp_path / "i.yaml").write_text(text + end)
        load_intrinsics(tmp_path / "i.yaml")
        assert len(caplog.records) == asked
