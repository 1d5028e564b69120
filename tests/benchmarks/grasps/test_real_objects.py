"""Best grasps on real frames, where they are at hand."""

from collections import Counter

import pytest

from benchmarks.grasps.real_objects import best_grasps
from tests.real_data import RGBD, needs_real


@pytest.mark.slow
@needs_real
def test_few_best_grasps_on_real_objects_are_absurd():
    verdicts = Counter(row["verdict"] for row in best_grasps(RGBD))
    assert verdicts["plausible"] >= 11 and verdicts["absurd"] <= 1
