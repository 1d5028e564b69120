"""The pick benchmark: what trials add up to, the peers that it measures, and one real pick by the embedded model."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.picking.plot import draw_picks
from molmo_point.cli import main
from molmo_point.evaluation.pick_trial import HAND_EYE_M, VARIANTS, PickTrial, hand_eye_error, median_lift
from molmo_point.evaluation.picks import figures, run_picks, summary, tables
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import ImagePoint, Target, Unreachable

GOOD = PickTrial(
    1, "full", "red cube", "cube", 4, True, True, False, True, "", "lifted", 1, False, 0, (), {"total": 7.0, "LIFT": 1.0},
    {"total": 9.0, "LIFT": 2.0}, 3.0,
)  # fmt: skip
WRONG = replace(GOOD, seed=2, success=False, wrong_object=True, pointed_right=False)
SLIPPED = replace(GOOD, seed=3, success=False, claimed=False, failure="SLIPPED", dropped=True, shape="ball")


def test_shares_are_of_what_they_say():
    told = figures([GOOD, GOOD, WRONG, SLIPPED])
    assert told["success"]["share"] == 0.5
    assert told["success_given_right_point"]["share"] == pytest.approx(2 / 3)
    assert told["wrong_object"]["share"] == told["dropped"]["share"] == 0.25
    assert told["claimed_wrongly"]["share"] == pytest.approx(1 / 3)
    assert told["failures"] == {"another object lifted": 1, "SLIPPED": 1}
    assert told["shapes"]["ball"]["share"] == 0.0
    assert told["simulated_s"]["total"] == 7.0
    assert told["faster_than_real_time"]["share"] == 1.0


def test_the_summary_names_every_failing_seed_and_is_json():
    data = summary([GOOD, WRONG, replace(GOOD, variant="median depth"), SLIPPED])
    assert [trial["seed"] for trial in data["failed"]] == [2, 3]
    assert list(data["variants"]) == ["full", "median depth"]
    json.dumps(data)
    text = tables(data)
    assert "| full | 3 | 33.3 %" in text
    assert "SLIPPED 1" in text
    assert draw_picks(data["variants"]).std() > 10


def test_nothing_but_failures_has_no_times():
    told = figures([WRONG])
    assert told["simulated_s"]["total"] is None
    assert "| full | 1 |" in tables({"variants": {"full": told}})


def test_the_median_takes_the_background_where_there_is_more_of_it():
    depth = np.full((48, 64), 0.8, np.float32)
    depth[20:24, 30:33] = 0.5
    frame = RgbdFrame(np.zeros((48, 64, 3), np.uint8), depth, Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5), 5)
    found = median_lift(ImagePoint(31, 22, "rod"), frame)
    assert isinstance(found, Target)
    assert found.position_m[2] == pytest.approx(0.8)
    hole = replace(frame, depth_m=np.full((48, 64), np.nan, np.float32))
    assert isinstance(median_lift(ImagePoint(31, 22, "rod"), hole), Unreachable)


def test_the_hand_eye_error_has_the_stated_size():
    error = hand_eye_error(np.random.default_rng(0), "camera")
    assert np.linalg.norm(error.translation_m) == pytest.approx(HAND_EYE_M)
    assert np.degrees(np.arccos((np.trace(error.rotation) - 1) / 2)) == pytest.approx(2.0, abs=1e-6)


def test_every_variant_but_the_first_lacks_something():
    product = VARIANTS["full"]
    assert all(way.settings != product.settings or way.hand_eye_off for name, way in VARIANTS.items() if name != "full")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variants", "blind"], "no such variant"),
        (["--processes", "0"], "processes must be above zero"),
        (["--failures", "/nowhere/at/all"], "Pictures cannot be written there"),
        (["--plot", "/nowhere/at/all.png"], "picture cannot be written there"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_measurement(arguments, message, capsys):
    assert main(["eval", "pick", "--scenes", "1", *arguments]) != 0
    assert message in capsys.readouterr().err


def test_options_of_the_picks_are_refused_elsewhere(capsys):
    assert main(["eval", "tabletop", "--scenes", "1", "--processes", "2"]) != 0
    assert "eval pick" in capsys.readouterr().err


def test_one_pick_by_the_embedded_model_comes_out_the_same_again():
    for name in ("tabletask", "mink", "ruckig", "torch", "transformers"):
        pytest.importorskip(name)
    first, again = run_picks("tabletop", [(5000, "full"), (5000, "full")], processes=1)
    timeless = {"wall_s": {}, "processor_s": 0.0}
    assert replace(first, **timeless) == replace(again, **timeless)
    assert first.success, first.message
    assert first.simulated_s["total"] < 15
    assert not first.dropped
