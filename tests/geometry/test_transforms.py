"""Transforms: group laws, frames that must meet, covariance against samples, files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.transforms import Transform, check_reach, load_transform, save_transform

seeds = st.integers(0, 2**32 - 1)


def random_transform(seed: int, target: str, source: str, covariance: bool = False) -> Transform:
    rng = np.random.default_rng(seed)
    quaternion = rng.normal(size=4)
    root = rng.normal(size=(6, 6)) * 0.003
    return Transform.from_quaternion(
        target,
        source,
        quaternion / np.linalg.norm(quaternion),
        rng.uniform(-2, 2, size=3),
        root @ root.T if covariance else None,
    )


def perturbed(transform: Transform, delta: np.ndarray) -> Transform:
    """The transform moved by delta: translation, then a rotation vector about the target's axes."""
    angle = np.linalg.norm(delta[3:])
    x, y, z = delta[3:] / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return Transform(transform.target, transform.source, rotation @ transform.rotation, transform.translation_m + delta[:3])


def test_quarter_turn_by_hand() -> None:
    # A camera 1 m above the base that looks along the base's x: z forward is base x, x right is base -y.
    base_T_camera = Transform("base", "camera", [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], [0, 0, 1])
    np.testing.assert_allclose(base_T_camera.apply([0.1, 0.2, 0.5], "camera"), [0.5, -0.1, 0.8])


def test_quaternion_order_is_xyzw() -> None:
    about_z = Transform.from_quaternion("a", "b", [0, 0, np.sqrt(0.5), np.sqrt(0.5)], [0, 0, 0])
    np.testing.assert_allclose(about_z.apply([1, 0, 0], "b"), [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(about_z.quaternion_xyzw, [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-12)


@given(seed=seeds)
def test_law_inverse(seed: int) -> None:
    a_T_b = random_transform(seed, "a", "b")
    np.testing.assert_allclose((a_T_b @ a_T_b.inverse()).matrix, np.eye(4), atol=1e-12)
    np.testing.assert_allclose((a_T_b.inverse() @ a_T_b).matrix, np.eye(4), atol=1e-12)
    assert (a_T_b.inverse().target, a_T_b.inverse().source) == ("b", "a")


@given(seed=seeds)
def test_law_composition(seed: int) -> None:
    a_T_b, b_T_c, c_T_d = (random_transform(seed + i, *frames) for i, frames in enumerate(["ab", "bc", "cd"]))
    points = np.random.default_rng(seed).normal(size=(7, 3))
    chained = a_T_b.apply(b_T_c.apply(points, "c"), "b")
    np.testing.assert_allclose((a_T_b @ b_T_c).apply(points, "c"), chained, atol=1e-12)
    np.testing.assert_allclose(((a_T_b @ b_T_c) @ c_T_d).matrix, (a_T_b @ (b_T_c @ c_T_d)).matrix, atol=1e-12)
    np.testing.assert_allclose((a_T_b @ b_T_c).matrix, a_T_b.matrix @ b_T_c.matrix, atol=1e-12)


@given(seed=seeds)
def test_law_matrix_and_quaternion_round_trips(seed: int) -> None:
    t = random_transform(seed, "a", "b")
    np.testing.assert_allclose(Transform.from_matrix("a", "b", t.matrix).matrix, t.matrix, atol=1e-12)
    back = Transform.from_quaternion("a", "b", t.quaternion_xyzw, t.translation_m)
    np.testing.assert_allclose(back.matrix, t.matrix, atol=1e-12)
    assert t.quaternion_xyzw[3] >= 0


def test_half_turns_have_a_quaternion() -> None:
    for axis in range(3):
        diagonal = -np.ones(3)
        diagonal[axis] = 1
        t = Transform("a", "b", np.diag(diagonal), np.zeros(3))
        np.testing.assert_allclose(np.abs(t.quaternion_xyzw), np.eye(4)[axis], atol=1e-12)


def test_frames_must_meet() -> None:
    a_T_b = Transform.identity("a", "b")
    with pytest.raises(FrameError, match="a_T_b @ c_T_d") as caught:
        _ = a_T_b @ Transform.identity("c", "d")
    assert "'b'" in str(caught.value)
    with pytest.raises(FrameError, match="'camera'"):
        a_T_b.apply([0, 0, 0], "camera")
    with pytest.raises(FrameError):
        a_T_b.apply([0, 0, 0], "a")


def covariance_of_samples(values: np.ndarray) -> np.ndarray:
    return np.cov(values, rowvar=False)


def samples(covariance: np.ndarray, count: int = 40000) -> np.ndarray:
    return np.random.default_rng(3).multivariate_normal(np.zeros(len(covariance)), covariance, count)


def assert_close_covariance(ours: np.ndarray, sampled: np.ndarray) -> None:
    np.testing.assert_allclose(ours, sampled, atol=0.05 * np.abs(sampled).max())


def test_point_covariance_against_samples() -> None:
    t = random_transform(5, "a", "b", covariance=True)
    position, covariance = np.array([0.3, -0.5, 1.2]), np.diag([1e-6, 4e-6, 9e-5])
    moved = [
        perturbed(t, delta).apply(position + noise, "b")
        for delta, noise in zip(samples(t.covariance, 6000), samples(covariance, 6000), strict=True)
    ]
    assert_close_covariance(t.apply_covariance(covariance, position), covariance_of_samples(np.array(moved)))


def test_covariance_without_own_is_only_rotated() -> None:
    t = Transform("a", "b", [[0, -1, 0], [1, 0, 0], [0, 0, 1]], [5, 6, 7])
    np.testing.assert_allclose(t.apply_covariance(np.diag([1, 2, 3]), [9, 9, 9]), np.diag([2, 1, 3]))


def test_chained_and_inverse_covariance_against_samples() -> None:
    a_T_b, b_T_c = random_transform(6, "a", "b", covariance=True), random_transform(7, "b", "c", covariance=True)
    point = np.array([0.4, 0.1, -0.9])
    deltas = list(zip(samples(a_T_b.covariance, 6000), samples(b_T_c.covariance, 6000)[::-1], strict=True))
    chained = np.array([(perturbed(a_T_b, d) @ perturbed(b_T_c, e)).apply(point, "c") for d, e in deltas])
    ours = (a_T_b @ b_T_c).apply_covariance(np.zeros((3, 3)), point)
    assert_close_covariance(ours, covariance_of_samples(chained))
    back = np.array([perturbed(a_T_b, d).inverse().apply(point, "a") for d, _ in deltas])
    assert_close_covariance(a_T_b.inverse().apply_covariance(np.zeros((3, 3)), point), covariance_of_samples(back))


def test_one_known_covariance_is_kept_through_a_chain() -> None:
    known = random_transform(6, "a", "b", covariance=True)
    assert (known @ Transform.identity("b", "c")).covariance is not None
    np.testing.assert_allclose((known @ Transform.identity("b", "c")).covariance, known.covariance)
    assert (Transform.identity("a", "b") @ Transform.identity("b", "c")).covariance is None


@pytest.mark.parametrize(
    ("rotation", "translation", "part"),
    [
        (np.diag([1, 1, -1]), [0, 0, 0], "determinant"),
        (2 * np.eye(3), [0, 0, 0], "rotation matrix"),
        (np.eye(4), [0, 0, 0], "rotation"),
        (np.eye(3), [0, 0], "translation_m"),
        (np.eye(3), [0, 0, np.nan], "translation_m"),
    ],
)
def test_refused(rotation: np.ndarray, translation: list, part: str) -> None:
    with pytest.raises(InputError, match=part):
        Transform("a", "b", rotation, translation)


def test_refused_frames_quaternions_matrices_and_covariances() -> None:
    with pytest.raises(InputError, match="source frame"):
        Transform.identity("a", " ")
    with pytest.raises(InputError, match="must have length 1"):
        Transform.from_quaternion("a", "b", [0, 0, 0, 2], [0, 0, 0])
    with pytest.raises(InputError, match="transposed"):
        Transform.from_matrix("a", "b", random_transform(1, "a", "b").matrix.T)
    for wrong in (-np.eye(6), np.triu(np.ones((6, 6))), np.eye(3)):
        with pytest.raises(InputError, match="covariance"):
            Transform("a", "b", np.eye(3), np.zeros(3), wrong)
    with pytest.raises(InputError, match="length 3"):
        Transform.identity("a", "b").apply([1, 2], "b")


def test_arrays_are_frozen_copies() -> None:
    translation = np.zeros(3)
    t = Transform("a", "b", np.eye(3), translation)
    translation[0] = 9
    assert t.translation_m[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        t.translation_m[0] = 1


def test_rounded_rotations_are_made_exact() -> None:
    rounded = np.round(random_transform(4, "a", "b").rotation, 5)
    t = Transform("a", "b", rounded, np.zeros(3))
    np.testing.assert_allclose(t.rotation @ t.rotation.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(t.rotation, rounded, atol=1e-4)


@pytest.mark.parametrize("covariance", [False, True])
def test_file_round_trip(tmp_path: Path, covariance: bool) -> None:
    path, t = tmp_path / "t.yaml", random_transform(9, "base_link", "camera_color_optical_frame", covariance)
    save_transform(path, t)
    back = load_transform(path)
    assert (back.target, back.source) == (t.target, t.source)
    np.testing.assert_allclose(back.matrix, t.matrix, atol=1e-14)
    assert (back.covariance is None) == (not covariance)
    if covariance:
        np.testing.assert_allclose(back.covariance, t.covariance)


def test_file_with_a_matrix(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("target: a\nsource: b\nmatrix: [[1,0,0,1],[0,1,0,2],[0,0,1,3],[0,0,0,1]]\n")
    np.testing.assert_array_equal(load_transform(path).translation_m, [1, 2, 3])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("source: b\ntranslation_m: [0,0,0]\nquaternion_xyzw: [0,0,0,1]\n", "target"),
        ("target: a\nsource: b\nquaternion_xyzw: [0,0,0,1]\n", "translation_m"),
        ("target: a\nsource: b\ntranslation_m: [0,0,0]\nquaternion_xyzw: [0,0,0,1]\nscale: 2\n", "scale"),
        ("target: a\nsource: b\ntranslation_m: [0,0,x]\nquaternion_xyzw: [0,0,0,1]\n", "translation_m"),
        ("target: 3\nsource: b\ntranslation_m: [0,0,0]\nquaternion_xyzw: [0,0,0,1]\n", "target frame"),
        ("{", "parsed"),
        ("target: a\nsource: b\ntranslation_m: [0,0,true]\nquaternion_xyzw: [0,0,0,1]\n", "True"),
        ("target: a\nsource: b\ntranslation_m: [0,0,0]\nquaternion_xyzw: [false,0,0,1]\n", "False"),
        ("target: a\nsource: b\ntranslation_m: {x: 0, y: 0, z: 0}\nquaternion_xyzw: [0,0,0,1]\n", "translation_m"),
        (f"target: a\nsource: b\ntranslation_m: [0,0,1{'0' * 400}]\nquaternion_xyzw: [0,0,0,1]\n", "401 digits"),
        ("target: a\nsource: b\ntranslation_m: [0,5000,0]\nquaternion_xyzw: [0,0,0,1]\n", "5000 m"),
        ("target: a\nsource: b\nmatrix: [[1,0,0,1e6],[0,1,0,2],[0,0,1,3],[0,0,0,1]]\n", "1e\\+06 m"),
        ("target: a\nsource: b\nmatrix: [[1e308,0,0,0],[0,1,0,2],[0,0,1,3],[0,0,0,1]]\n", "matrix"),
        ("target: a\nsource: b\nmatrix: [[1,0,0,true],[0,1,0,2],[0,0,1,3],[0,0,0,1]]\n", "True"),
        ("target: a\nsource: b\nmatrix: [[1,0,0,0],[0,1,0,0],[0,0,-1,0],[0,0,0,1]]\n", "determinant -1"),
        ("target: ' '\nsource: b\ntranslation_m: [0,0,0]\nquaternion_xyzw: [0,0,0,1]\n", "target frame"),
        ('target: "a\\e[31m"\nsource: b\ntranslation_m: [0,0,0]\nquaternion_xyzw: [0,0,0,1]\n', "target frame"),
        (f"target: {'a' * 300}\nsource: b\ntranslation_m: [0,0,0]\nquaternion_xyzw: [0,0,0,1]\n", "255"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=part):
        load_transform(path)
    with pytest.raises(InputError, match="must be writable"):
        save_transform(tmp_path / "no" / "t.yaml", Transform.identity("a", "b"))


@pytest.mark.parametrize(
    ("covariance", "part"),
    [
        (np.zeros((6, 6)), "0 m, 0 rad"),
        (np.eye(6) * 1e-30, "1e-15 m"),
        (np.diag([1e6, 1e6, 1e6, 1e-4, 1e-4, 1e-4]), "1e+03 m"),
        (np.diag([1e-4, 1e-4, 1e-4, 99999, 1e-4, 1e-4]), "316 rad"),
        (np.diag([1e-4, 1e-4, -1e-4, 1e-4, 1e-4, 1e-4]), "semi-definite"),
        (np.eye(6) * 1e-4 + np.eye(6, k=1) * 1e-5, "symmetric"),
        (np.full((6, 6), np.nan), "covariance"),
        (np.eye(3) * 1e-4, "(6, 6)"),
    ],
)
def test_a_file_with_an_absurd_covariance_is_refused(tmp_path: Path, covariance: np.ndarray, part: str) -> None:
    text = f"target: a\nsource: b\ntranslation_m: [0,0,0]\nquaternion_xyzw: [0,0,0,1]\ncovariance: {covariance.tolist()}\n"
    path = tmp_path / "t.yaml"
    path.write_text(text.replace("nan", ".nan"))
    with pytest.raises(InputError) as caught:
        load_transform(path)
    assert part in str(caught.value)


def test_a_file_in_millimeters_is_questioned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("target: base\nsource: camera\ntranslation_m: [400, 0, 300]\nquaternion_xyzw: [0,0,0,1]\n")
    assert load_transform(path).translation_m[0] == 400
    (record,) = caplog.records
    assert "500 m apart" in record.getMessage()
    assert "millimeters" in record.getMessage()
    caplog.clear()
    path.write_text("target: base\nsource: camera\ntranslation_m: [0.4, 0, 0.3]\nquaternion_xyzw: [0,0,0,1]\n")
    load_transform(path)
    assert not caplog.records


def test_a_transform_over_kilometers_is_refused_and_an_estimate_in_millimeters_is_kept() -> None:
    """A calibration of a robot in millimeters must be able to name that cause."""
    assert Transform("a", "b", np.eye(3), [1200.0, 0.0, 800.0]).translation_m[0] == 1200.0
    with pytest.raises(InputError, match="1000 m long"):
        check_reach(Transform("a", "b", np.eye(3), [1200.0, 0.0, 800.0]))
    with pytest.raises(InputError, match="2e\\+04 m"):
        Transform("a", "b", np.eye(3), [20_000.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("rotation", "asked"),
    [
        ("quaternion_xyzw: [0, 0, 0.70710678118654757, 0.70710678118654757]", False),
        ("quaternion_xyzw: [0, 0, 0.7071067690849304, 0.7071067690849304]", False),
        ("quaternion_xyzw: [0, 0, 0.707, 0.707]", False),
        ("quaternion_xyzw: [0, 0, 1, 0]", False),
        ("quaternion_xyzw: [0, 0, 0.70710678118654757, 0.70]", True),
        ("quaternion_xyzw: [0, 0.0123, 0.70710678118654757, 0.706999800]", False),
        ("quaternion_xyzw: [0, 0.01, 0.70710678118654757, 0.706999800]", True),
        ("quaternion_xyzw: [0, 0, 0.7, 0.71]", True),
        ("matrix: [[0.9998, -0.02, 0, 0], [0.02, 0.9998, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]", False),
        ("matrix: [[0.9998000066, -0.0199986667, 0, 0], [0.0195, 0.9998000066, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]", True),
    ],
)
def test_a_rotation_with_a_digit_lost_is_questioned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rotation: str, asked: bool
) -> None:
    shift = "" if "matrix" in rotation else "translation_m: [0, 0, 1]\n"
    (tmp_path / "t.yaml").write_text(f"target: base\nsource: camera\n{shift}{rotation}\n")
    load_transform(tmp_path / "t.yaml")
    assert ["rotation complete" in record.getMessage() for record in caplog.records] == [True] * asked


def test_a_transform_between_one_frame_is_refused(tmp_path: Path) -> None:
    save_transform(tmp_path / "t.yaml", Transform("camera", "camera", np.eye(3), [0, 0, 0.5]))
    with pytest.raises(InputError, match="must be two frames"):
        load_transform(tmp_path / "t.yaml")


@pytest.mark.parametrize(("end", "asked"), [("- 0.3", True), ("- 0.", True), ("- 0.345\n", False), ("- 0.345\n\n", False)])
def test_a_file_that_breaks_off_within_a_number_is_questioned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, end: str, asked: bool
) -> None:
    start = "target: base\nsource: camera\nquaternion_xyzw: [0, 0, 0, 1]\ntranslation_m:\n- 0.1\n- 0.2\n"
    (tmp_path / "t\x1b.yaml").write_text(start + end)
    load_transform(tmp_path / "t\x1b.yaml")
    assert ["t\\u001b.yaml: is the file complete?" in record.getMessage() for record in caplog.records] == [True] * asked
