"""Verification on fresh data, touched points, and the drift monitor: they see what is wrong, and only that."""

import numpy as np
import pytest
from planted import clean

from molmo_point.errors import InputError
from molmo_point.geometry.rigid import moved
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.validation import verify_by_touch, verify_with_board

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("setup", list(Setup), ids=lambda s: s.value)
def test_a_right_calibration_passes_and_a_wrong_one_does_not(setup):
    data, truth = clean(1, setup)
    good = verify_with_board(data, truth.x)
    assert good.rms_mm < 1.0 and good.interval_mm[0] < good.rms_mm < good.interval_mm[1]
    wrong = verify_with_board(data, moved(truth.x, np.array([0.0, 0, 0, 0.02, 0, 0])))
    assert wrong.rms_mm > 3.0 * good.rms_mm
    known = verify_with_board(data, truth.x, moved(truth.w, np.array([0.01, 0, 0, 0, 0, 0])))
    assert known.rms_mm == pytest.approx(10.0, abs=0.6)


def test_touched_points_give_error_and_offset():
    seen = RNG.uniform(-0.3, 0.3, (6, 3))
    result = verify_by_touch(seen, seen - [0.004, 0.0, 0.0])
    assert result.rms_mm == pytest.approx(4.0) and result.bias_mm == pytest.approx([4.0, 0.0, 0.0])
    with pytest.raises(InputError, match="at least 3 points"):
        verify_by_touch(seen[:2], seen[:2])
