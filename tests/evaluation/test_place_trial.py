"""The benchmark of putting things into containers: what it adds up, and one run with a pointer that points at nothing."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point.backend import WholeAnswerBackend
from molmo_point.cli import main
from molmo_point.evaluation.place_trial import PlaceTrial, place_summary, run_place_trial
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure
from molmo_point.pointer import Pointer
from molmo_point.results import Completion

GOOD = PlaceTrial(1, "bowl", "red cube", True, True, True, True, True, None, "put in", 0.0, 0.0001, 7.0)
TOO_LARGE = replace(GOOD, seed=2, inside=False, claimed=False, seen=False, failure=PickFailure.NO_GRASP)
NOT_FOUND = replace(TOO_LARGE, seed=3, container="tray", found=False, failure=PickFailure.NOT_FOUND, touch_n=3.0)
WRONG = replace(GOOD, seed=4, lifted=False, pushed_m=0.02)


def test_shares_are_of_what_they_say():
    data = place_summary([GOOD, TOO_LARGE, NOT_FOUND, WRONG])
    share = lambda name: (data[name]["share"], data[name]["trials"])  # noqa: E731
    assert share("right object lifted") == (0.75, 4)
    assert share("right object inside") == (0.25, 4)
    assert share("container found, given it was lifted") == (pytest.approx(2 / 3), 3)
    assert share("inside, given a container found") == (pytest.approx(2 / 3), 3)
    assert share("claimed inside, and is") == (1.0, 2)
    assert data["of these refused, because it does not fit"] == 1
    assert data["container touched with more than 1 N"] == 1
    assert data["container pushed by more than 5 mm"] == 1
    assert data["median arm s"] == 7.0
    assert set(data["by container"]) == {"bowl"}


class Silent(WholeAnswerBackend):
    """Sees nothing, ever."""

    name = "silent"

    def answer(self, image, prompt, limits):
        return Completion(" There are none.", 4, "stop")


def test_a_pointer_that_sees_nothing_lifts_and_claims_nothing():
    trial = run_place_trial(Pointer(Silent()), 5, PickSettings(accept_cautions=["UNCALIBRATED"]))
    assert (trial.container, trial.failure) == ("plate", PickFailure.NOT_FOUND)
    assert not (trial.lifted or trial.found or trial.inside or trial.claimed or trial.seen)
    assert trial.touch_n == 0.0
    assert trial.pushed_m < 0.001
    assert np.isfinite(trial.arm_s)


def test_the_command_line_refuses_a_plot(capsys, tmp_path):
    assert main(["eval", "place", "--plot", str(tmp_path / "x.png")]) != 0
    assert "--plot belongs to eval calibration and trust" in capsys.readouterr().err
