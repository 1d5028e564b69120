"""Known planes: their files, and their change of frame."""

import numpy as np
import pytest

from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.known_plane import KnownPlane, load_plane
from molmo_point.geometry.rigid import rotation_exp
from molmo_point.geometry.transforms import Transform

TILTED = Transform("base", "camera", rotation_exp(np.array([2.2, 0.3, -0.4])), np.array([0.3, -0.2, 0.7]))


def test_a_plane_has_the_same_points_in_another_frame():
    rng = np.random.default_rng(1)
    plane = KnownPlane.level("base", 0.02)
    level = np.column_stack([rng.uniform(-1, 1, (20, 2)), np.full(20, 0.02)])
    in_camera = plane.transformed(TILTED.inverse())
    assert in_camera.frame == "camera"
    np.testing.assert_allclose(in_camera.height_of(TILTED.inverse().apply(level, "base")), 0.0, atol=1e-12)
    above = TILTED.inverse().apply(level + np.array([0.0, 0.0, 0.1]), "base")
    np.testing.assert_allclose(in_camera.height_of(above), 0.1, atol=1e-12)


def test_a_plane_needs_a_transform_from_its_frame():
    with pytest.raises(FrameError, match="must start in the frame of the plane"):
        KnownPlane.level("base", 0.0).transformed(TILTED)


def test_a_file_gives_a_level_plane_or_a_general_one(tmp_path):
    (tmp_path / "level.yaml").write_text("frame: base\nz_m: -0.01\nheight_m: 0\nheight_sigma_m: 0.002\n")
    plane = load_plane(tmp_path / "level.yaml")
    assert (plane.frame, plane.offset_m, plane.height_m, plane.height_sigma_m) == ("base", -0.01, 0.0, 0.002)
    np.testing.assert_allclose(plane.normal, [0, 0, 1])
    general = KnownPlane("base", np.array([0.0, 3.0, 4.0]), 0.5)
    again = KnownPlane.from_dict(general.to_dict())
    np.testing.assert_allclose(again.normal, [0.0, 0.6, 0.8])
    assert again.offset_m == 0.5


@pytest.mark.parametrize(
    "text",
    [
        "frame: base\n",
        "z_m: 1\n",
        "frame: base\nz_m: 0\nnormal: [0, 0, 1]\n",
        "frame: base\nnormal: [0, 0, 0]\noffset_m: 0\n",
        "frame: base\nnormal: [0, 0, .nan]\noffset_m: 0\n",
        "frame: base\nnormal: up\noffset_m: 0\n",
        "frame: base\nz_m: high\n",
        "frame: base\nz_m: true\n",
        "frame: base\nz_m: 0\nsigma_m: -1\n",
        "frame: base\nz_m: 0\nheight: 1\n",
        "frame: base\nz_m: .inf\n",
    ],
)
def test_a_file_that_gives_no_plane_is_refused(tmp_path, text):
    (tmp_path / "plane.yaml").write_text(text)
    with pytest.raises(InputError):
        load_plane(tmp_path / "plane.yaml")
