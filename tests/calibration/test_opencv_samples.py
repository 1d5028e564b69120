"""Real photographs: the chessboards that come with OpenCV (Debian: apt-get install opencv-doc), if they are on this machine."""

import os
from pathlib import Path

import pytest

from molmo_point.calibration.boards import Board
from molmo_point.calibration.intrinsics_fit import calibrate_intrinsics
from molmo_point.camera.image_file import load_color

cv2 = pytest.importorskip("cv2")

FOLDER = Path(os.environ.get("OPENCV_SAMPLES", "/usr/share/doc/opencv-doc/examples/data"))
BOARD = Board("chessboard", 10, 7, 0.025)

pytestmark = pytest.mark.skipif(
    not (FOLDER / "left01.jpg").is_file(), reason="OpenCV's sample photos are not here: set OPENCV_SAMPLES to their folder"
)


def photos(side):
    return [(path.name, load_color(path)) for path in sorted(FOLDER.glob(f"{side}[0-9][0-9].jpg"))]


def test_the_photo_with_wrong_corners_is_named():
    result = calibrate_intrinsics(BOARD, photos("left"))
    assert "does not fit the others" in dict(result.dropped)["left02.jpg"]
    assert result.fit.rms_px() < 0.3
