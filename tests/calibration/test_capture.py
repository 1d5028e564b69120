"""The whole procedure in simulation: guided capture by the simulated arm, calibration, truth; and what the guide refuses."""

import numpy as np
import pytest

from molmo_point.calibration.boards import DEFAULT
from molmo_point.calibration.capture import GuidedCapture
from molmo_point.calibration.hand_eye import calibrate_hand_eye
from molmo_point.calibration.rehearsal_arm import RehearsalArm
from molmo_point.calibration.sample_file import load_session
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import difference
from molmo_point.hand_eye.samples import Setup

pytest.importorskip("cv2")


@pytest.mark.parametrize("setup", list(Setup), ids=lambda s: s.value)
def test_the_whole_procedure_finds_the_camera(setup, tmp_path):
    arm = RehearsalArm(DEFAULT, setup, seed=4)
    guide = GuidedCapture(tmp_path / "s", DEFAULT, arm.intrinsics, setup)
    target = guide.plan[0]
    while target is not None and len(guide) < 10:
        arm.go_to_view(target)
        for _ in range(3):
            advice = guide.look(*arm.read())
        assert advice.taken
        target = advice.target
    session = load_session(tmp_path / "s")
    assert session.data.setup is setup and len(session.data) == 10
    result = calibrate_hand_eye(session.data, alternatives=session.alternatives)
    change = difference(result.camera.matrix, arm.x)
    assert np.linalg.norm(change[:3]) < 0.0025 and np.rad2deg(np.linalg.norm(change[3:])) < 0.4
    assert change @ np.linalg.solve(result.camera.covariance, change) < 30.0
    assert result.passed and not result.causes
    assert result.camera.target == ("tool0" if setup is Setup.EYE_IN_HAND else "base_link")


def test_the_guide_takes_nothing_that_moves_repeats_or_shows_no_board(tmp_path):
    arm = RehearsalArm(DEFAULT, seed=1)
    guide = GuidedCapture(tmp_path / "s", DEFAULT, arm.intrinsics)
    arm.go_to_view(guide.plan[0])
    image, pose = arm.read()
    assert guide.look(image, pose).words.startswith("hold still")
    for i in range(4):  # the arm creeps, whatever the image says
        creeping = pose.copy()
        creeping[0, 3] += 0.003 * i
        assert not guide.look(image, creeping).taken
    blank = np.full_like(image, 128)
    assert "no board" in guide.look(blank, pose).words
    advice = [guide.look(*arm.read()) for _ in range(3)][-1]
    assert advice.taken == "001" and advice.target is not None and "●" in guide.coverage()
    assert "this view is taken" in guide.look(*arm.read()).words
    with pytest.raises(InputError, match="must not hold samples"):
        GuidedCapture(tmp_path / "s", DEFAULT, arm.intrinsics)
