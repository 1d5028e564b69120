"""What trials of grasps add up to, and one real trial."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.grasps.benchmark import TABLES, GraspTrial, graspable, judge, run_trials, summarize, table
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.gripper import Gripper
from molmo_point.sim.tabletop.objects import SceneObject


def trial(verdict: str, fits: bool = True, width_error_m: float = 0.001, seconds: float = 0.1) -> GraspTrial:
    found = bool(verdict)
    error = width_error_m if found else math.nan
    return GraspTrial(1, "box", fits, "OK", 0.9, found, verdict, error, seconds, {"TOO_WIDE": 2})


def test_shares_are_over_what_they_name() -> None:
    trials = [trial("GOOD"), trial("GOOD"), trial("SLIPS", width_error_m=-0.004), trial(""), trial("", fits=False)]
    figures = summarize(trials)
    assert figures["graspable"] == 4 and figures["found_on_graspable"]["share"] == pytest.approx(3 / 4)
    assert figures["best_good"]["share"] == pytest.approx(2 / 3) and figures["best_good"]["trials"] == 3
    assert figures["verdicts"] == {"GOOD": 2, "SLIPS": 1} and figures["reasons"] == {"TOO_WIDE": 10}
    assert figures["width_error_mm_median"] == pytest.approx(1.0)
    assert figures["ms_median"] == pytest.approx(100.0)


def test_the_table_says_so() -> None:
    text = table(summarize([trial("GOOD"), trial("SLIPS", width_error_m=-0.003)]))
    assert "| best grasp antipodal and free in truth | 50.0 % (9.5 to 90.5) |" in text
    assert "| what becomes of the best | GOOD 1, SLIPS 1 |" in text
    assert "-1.0 / 3.0 mm" not in text and "-1.0 / 2.9 mm" in text


def test_without_a_grasp_there_is_no_share() -> None:
    text = table(summarize([trial("", fits=False)]))
    assert "| at least one grasp, of 0 objects that fit | – |" in text


def test_a_real_trial_repeats() -> None:
    pytest.importorskip("mujoco")
    once, again = (run_trials([50_001], noise=None)[0] for _ in range(2))
    assert (once.iou, once.verdict, once.width_error_m) == (again.iou, again.verdict, again.width_error_m)
    assert once.iou > 0.7 and once.seconds > 0.0


def test_what_the_gripper_holds() -> None:
    item = SceneObject("brick", "red", (0.05, 0.03, 0.02), (0.0, 0.0, 0.02), 0.0, (1.0, 0.0, 0.0))
    assert graspable(item, Gripper())
    assert not graspable(item, Gripper(max_opening_m=0.06))


@pytest.mark.slow
@pytest.mark.parametrize("tables", sorted(set(TABLES) - {"plain", "mixed"}))
def test_a_trial_on_every_kind_of_table_repeats(tables: str) -> None:
    once, again = (run_trials([3], simulator="unkind", tables=tables) for _ in range(2))
    assert [(trial.verdict, trial.iou) for trial in once] == [(trial.verdict, trial.iou) for trial in again]


def test_an_uneven_table_and_walls_are_hit() -> None:
    pose = Transform("base", "grasp", np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 0.08]))
    item = SceneObject("cube", "red", (0.02, 0.02, 0.02), (0.0, 0.0, 0.02), 0.0, (1.0, 0.0, 0.0))
    gripper = Gripper()
    grasp = SimpleNamespace(camera_T_grasp=pose, opening_m=0.06, approach_distance_m=0.0)
    low = float(pose.apply(np.array([0.0, 0.0, gripper.tip_offset_m]), frame="grasp")[2])
    raised = judge(grasp, [item], item, gripper, lambda xy: np.full(len(xy), low + 0.002))[0]
    assert raised == "HITS_TABLE" and judge(grasp, [item], item, gripper, lambda xy: np.full(len(xy), low - 0.002))[0] != raised
