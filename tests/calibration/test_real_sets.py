"""Calibration sets that others recorded and published; skipped where they are not on this machine."""

import numpy as np
import pytest

from molmo_point.calibration.boards import load_board
from molmo_point.calibration.hand_eye import calibrate_hand_eye
from molmo_point.calibration.intrinsics_fit import calibrate_intrinsics
from molmo_point.calibration.model_choice import folds
from molmo_point.calibration.sample_file import load_session
from molmo_point.camera.image_file import load_color
from molmo_point.geometry.mapping_file import read_mapping
from molmo_point.geometry.rigid import angle_between
from tests.real_data import CALIBRATION, needs_real

pytest.importorskip("cv2", reason="OpenCV is not installed")

pytestmark = needs_real


def test_ten_photographs_that_reach_no_corner_give_a_lens_that_holds_there():
    paths = sorted((CALIBRATION / "chessboards").glob("*.jpg"))
    photos = [(path.name, load_color(path)) for path in paths]
    result = calibrate_intrinsics(load_board(CALIBRATION / "chessboards" / "board.yaml"), photos)
    camera = result.fit.intrinsics
    # `cv2.calibrateCamera` of the same corners, with five coefficients: 614.5 and 614.1 px.
    assert abs(camera.fx - 614.5) < 3.0 and abs(camera.fy - 614.1) < 3.0
    assert result.fit.rms_px() < 0.2 and len(result.used) == 10
    assert not folds(camera) and np.isfinite(camera.deproject([[0.0, 0.0], [639.0, 479.0]], 1.0)).all()
    assert result.corners_seen == 0 and any("extrapolated" in words for words in result.warnings)
    assert any("'k1 k2 p1 p2 k3'" in words for words in result.warnings), "it folds"


def test_nine_marker_poses_give_the_published_camera():
    session = load_session(CALIBRATION / "kuka-aruco" / "samples.yaml")
    result = calibrate_hand_eye(session.data, alternatives=session.alternatives)
    published = read_mapping(CALIBRATION / "kuka-aruco" / "published.yaml")
    camera, sigma = result.camera, np.sqrt(np.diag(result.camera.covariance)[:3])
    gap = camera.translation_m - np.array(published["translation"])
    assert np.linalg.norm(gap) < 0.005 and (np.abs(gap) < 2.5 * sigma).all()
    assert np.rad2deg(angle_between(camera.rotation, np.reshape(published["rotation"], (3, 3)))) < 1.0
    assert not result.causes
