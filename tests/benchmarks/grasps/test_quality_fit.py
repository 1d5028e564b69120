"""The fit of the quality on drawn scores."""

import numpy as np

from benchmarks.grasps.quality_fit import PRIOR, calibration_error, fitted
from molmo_point.grasp.quality import WEIGHTS


def test_fit_recovers_what_decides_and_is_calibrated():
    rng = np.random.default_rng(0)
    logs = np.log(rng.uniform(0.05, 1.0, (3000, len(PRIOR))))
    truth = 1.0 / (1.0 + np.exp(-3.0 - 1.5 * logs[:, 0] - 2.0 * logs[:, 1]))
    good = (rng.uniform(size=len(truth)) < truth).astype(float)
    values = fitted(logs, good)
    quality = 1.0 / (1.0 + np.exp(-values[0] - logs @ values[1:]))
    assert np.all(values[1:] >= 0.0) and set(np.argsort(values[1:])[-2:]) == {0, 1}
    assert calibration_error(quality, good) < 0.05 < calibration_error(quality**3, good)


def test_weights_in_use_have_the_names_of_the_fit():
    assert set(WEIGHTS) == set(PRIOR)
