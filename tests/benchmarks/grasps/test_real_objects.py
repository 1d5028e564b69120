"""Best grasps on real frames, where they are at hand."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.grasps.real_objects import best_grasps

ROOT = Path(__file__).parents[3]
FRAMES = ROOT / "../shared/real/rgbd"


@pytest.mark.slow
@pytest.mark.skipif(not FRAMES.is_dir(), reason="no real frames in ../shared/real")
def test_few_best_grasps_on_real_objects_are_absurd():
    verdicts = Counter(row["verdict"] for row in best_grasps(FRAMES))
    assert verdicts["plausible"] >= 11 and verdicts["absurd"] <= 1
