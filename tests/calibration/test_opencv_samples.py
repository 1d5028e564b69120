"""Real photographs: the chessboards that come with OpenCV (Debian: apt-get install opencv-doc), if they are on this machine."""

import os
from pathlib import Path

import numpy as np
import pytest

from molmo_point.calibration.boards import Board
from molmo_point.calibration.camera_fit import MODELS, fit_camera
from molmo_point.calibration.detection import detect
from molmo_point.calibration.intrinsics_fit import calibrate_intrinsics
from molmo_point.camera.image_file import load_color

cv2 = pytest.importorskip("cv2")

FOLDER = Path(os.environ.get("OPENCV_SAMPLES", "/usr/share/doc/opencv-doc/examples/data"))
BOARD = Board("chessboard", 10, 7, 0.025)
FIXED = {
    "none": cv2.CALIB_FIX_K1 | cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST,
    "k1": cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST,
    "k1 k2": cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST,
    "k1 k2 p1 p2": cv2.CALIB_FIX_K3,
    "k1 k2 p1 p2 k3": 0,
}

pytestmark = pytest.mark.skipif(
    not (FOLDER / "left01.jpg").is_file(), reason="OpenCV's sample photos are not here: set OPENCV_SAMPLES to their folder"
)


def photos(side):
    return [(path.name, load_color(path)) for path in sorted(FOLDER.glob(f"{side}[0-9][0-9].jpg"))]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_error_is_opencvs_for_every_model(side):
    images = photos(side)
    uv = np.array([detect(BOARD, image).uv for _, image in images])
    assert np.isfinite(uv).all() and len(uv) == 13
    objects = [BOARD.points.astype(np.float32)] * len(uv)
    for model in MODELS:
        corners = list(uv.astype(np.float32)[:, :, None])
        theirs, *_ = cv2.calibrateCamera(objects, corners, (640, 480), None, None, flags=FIXED[model])
        assert fit_camera(BOARD.points, uv, (640, 480), model).rms_px() <= theirs + 1e-6


def test_the_photo_with_wrong_corners_is_named():
    result = calibrate_intrinsics(BOARD, photos("left"))
    assert "does not fit the others" in dict(result.dropped)["left02.jpg"]
    assert result.fit.rms_px() < 0.3
