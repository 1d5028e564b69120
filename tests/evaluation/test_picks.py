"""The evaluation of picks: figures of trials, and one real pick by the embedded model."""

import json
from dataclasses import replace

import numpy as np
import pytest

from molmo_point.cautions import CautionKind
from molmo_point.cli import main
from molmo_point.cli.evaluate import pick_command
from molmo_point.evaluation.pick_trial import PickTrial
from molmo_point.evaluation.picks import run_picks, summary, tables
from molmo_point.evaluation.taught_picks import taught_task
from molmo_point.picking.states import PickFailure

from ..scripted_backend import Scripted

GOOD = PickTrial(
    seed=1, query="red cube", shape="cube", objects=4, claimed=True, failure=None, message="lifted", lifted=True,
    wrong_object=False, pointed_right=True, attempts=1, dropped=False, pushed=0, collisions=(),
    arm_s={"total": 7.0, "LIFT": 1.0}, wall_s={"total": 9.0, "LIFT": 2.0}, processor_s=3.0,
)  # fmt: skip
WRONG = replace(GOOD, seed=2, lifted=False, wrong_object=True, pointed_right=False)
SLIPPED = replace(GOOD, seed=3, claimed=False, lifted=False, failure=PickFailure.SLIPPED, dropped=True, shape="ball")


def test_shares_are_of_what_they_say():
    told = summary([GOOD, GOOD, WRONG, SLIPPED])
    assert told["success"]["share"] == 0.5
    assert told["success_given_right_point"]["share"] == pytest.approx(2 / 3)
    assert told["wrong_object"]["share"] == told["dropped"]["share"] == 0.25
    assert told["claimed_wrongly"]["share"] == pytest.approx(1 / 3)
    assert told["failures"] == {"another object lifted": 1, "SLIPPED": 1}
    assert told["shapes"]["ball"]["share"] == 0.0
    assert told["arm_s"]["total"] == 7.0
    assert told["faster_than_real_time"]["share"] == 1.0


def test_the_summary_names_every_failing_seed_and_is_json():
    data = summary([GOOD, SLIPPED, WRONG])
    assert [trial["seed"] for trial in data["failed"]] == [2, 3]
    json.dumps(data)
    text = tables(data)
    assert "| 3 | 33.3 %" in text
    assert "SLIPPED 1" in text


def test_nothing_but_failures_has_no_times():
    told = summary([WRONG])
    assert told["arm_s"]["total"] is None
    assert "| 1 |" in tables(told)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "0"], "--processes must be a whole number above zero"),
        (["--simulator", "cruel"], "kind, unkind, time-of-flight"),
        (["--failures", "/nowhere/at/all"], "--failures must be a folder"),
        (["--accept-cautions", "UNKNOWN"], "invalid choice: 'UNKNOWN'"),
        (["--plot", "x.png"], "--plot belongs to eval calibration and trust"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_measurement(arguments, message, capsys):
    assert main(["eval", "pick", "--scenes", "1", *arguments]) != 0
    assert message in capsys.readouterr().err


def test_the_simulator_reaches_the_picks(monkeypatch, capsys):
    def run_picks(model, seeds, processes, *, simulator, **_):
        assert simulator == "unkind"
        yield GOOD

    monkeypatch.setattr(pick_command, "run_picks", run_picks)
    assert main(["eval", "pick", "--scenes", "1", "--json", "--simulator", "unkind"]) == 0
    assert json.loads(capsys.readouterr().out)["simulator"] == "unkind"


@pytest.mark.parametrize("option", [["--simulator", "unkind"], ["--processes", "2"], ["--accept-cautions", "POOR_IMAGE"]])
def test_options_of_the_picks_are_refused_elsewhere(option, capsys):
    assert main(["eval", "tabletop", "--scenes", "1", *option]) != 0
    assert "eval pick" in capsys.readouterr().err


def test_accepted_cautions_reach_the_picker(monkeypatch, capsys):
    def run_picks(model, seeds, processes, *, make_picker, **_):
        assert make_picker.keywords["settings"].accept_cautions == {CautionKind.POOR_IMAGE, CautionKind.UNCALIBRATED}
        yield GOOD

    monkeypatch.setattr(pick_command, "run_picks", run_picks)
    assert main(["eval", "pick", "--scenes", "1", "--json", "--accept-cautions", "uncalibrated", "POOR_IMAGE"]) == 0
    assert json.loads(capsys.readouterr().out)["accept_cautions"] == ["POOR_IMAGE", "UNCALIBRATED"]


def test_one_pick_by_the_embedded_model_comes_out_the_same_again():
    for name in ("tabletask", "mink", "ruckig", "torch", "transformers"):
        pytest.importorskip(name)
    first, again = run_picks("tabletop", [5000, 5000], processes=1)
    timeless = {"wall_s": {}, "processor_s": 0.0}
    assert replace(first, **timeless) == replace(again, **timeless)
    assert first.success, first.message
    assert first.arm_s["total"] < 15
    assert not first.dropped


def test_a_toy_is_taught_on_one_table_and_asked_for_on_another():
    from molmo_point import Pointer
    from molmo_point.sim.stereo_faults import D435_FAULTS
    from molmo_point.sim.toys.toy import ToyVariant

    below = Pointer(Scripted(""))
    task = taught_task(below, 7, np.random.default_rng([7, 9]), D435_FAULTS, views=1)
    toy, alike = task.layout.objects[task.meant], task.layout.objects[1]
    assert alike.toy.number == toy.toy.number and alike.toy.variant is not ToyVariant.ITSELF
    backend = task.pointer.backend.for_words(f"the {toy.name}")
    assert backend.library.names == (toy.name,) and len(backend.library.find(toy.name).views) == 1
    assert task.pointer.backend.for_words("red cube") is below.backend


def test_the_number_of_views_reaches_the_picks(monkeypatch, capsys):
    def run_picks(model, seeds, processes, *, draw_task, **_):
        assert draw_task.func is taught_task and draw_task.keywords == {"views": 3}
        yield GOOD

    monkeypatch.setattr(pick_command, "run_picks", run_picks)
    assert main(["eval", "pick", "--scenes", "1", "--json", "--teach", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["taught_views"] == 3
