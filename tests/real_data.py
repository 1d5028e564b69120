"""The real sensor data beside the project, which tests use where they are."""

from pathlib import Path

import pytest

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
RGBD, CALIBRATION, ROOM = REAL / "rgbd", REAL / "calibration", REAL / "views" / "room"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real sensor data are not beside the project (../shared/real)")
