"""Benchmark programs from their command line to figures, at their smallest size."""

import json
from hashlib import sha256
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from benchmarks.grasps import __main__ as grasps
from benchmarks.lift import __main__ as lift
from benchmarks.photographs import __main__ as photographs
from benchmarks.photographs.benchmark import Photograph
from benchmarks.program import run_program
from benchmarks.tracking import __main__ as tracking
from benchmarks.trust import __main__ as trust
from benchmarks.trust.photograph_questions import LabeledPicture
from benchmarks.without_depth import __main__ as without_depth


def run(program: ModuleType, *arguments: Any) -> int:
    return run_program("benchmarks.test", program.__doc__, program.add_arguments, program.measure, [str(a) for a in arguments])


def test_lift_prints_writes_and_draws(tmp_path, capsys):
    pytest.importorskip("pyrealsense2")
    out, plot = tmp_path / "lift.json", tmp_path / "lift.png"
    assert run(lift, "--scenes", 2, "--json", "--out", out, "--plot", plot) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads(out.read_text(encoding="utf-8"))
    # Four true points a scene, each asked with three errors.
    assert figures["scenes"] == 2 and figures["points"] == 24
    assert figures["estimators"]["molmo-point"]["all"]["error_mm_median"] < 20.0
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_programs_measure_with_the_simulator_that_is_named(capsys):
    figures = {}
    for name in ("kind", "unkind"):
        assert run(lift, "--scenes", 8, "--json", "--simulator", name) == 0
        figures[name] = json.loads(capsys.readouterr().out)
        assert figures[name]["simulator"] == name
    assert figures["kind"]["estimators"] != figures["unkind"]["estimators"]


def test_lift_gives_the_same_figures_for_the_same_seed(capsys):
    pytest.importorskip("pyrealsense2")
    medians = []
    for seed in (5, 5, 6):
        assert run(lift, "--scenes", 1, "--seed", seed, "--json") == 0
        medians.append(json.loads(capsys.readouterr().out)["estimators"]["molmo-point"]["all"]["error_mm_median"])
    assert medians[0] == medians[1] != medians[2]


def test_tracking_prints_its_table(capsys, monkeypatch):
    pytest.importorskip("cv2")
    pytest.importorskip("mujoco")
    whole = tracking.benchmark.evaluate
    monkeypatch.setattr(tracking.benchmark, "evaluate", lambda sequences, first, **_: whole(sequences, first, seconds=1.2))
    assert run(tracking, "--scenes", 1) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| molmo_point |"))
    assert 0.0 < float(row.split("|")[2]) < 30.0


def test_grasps_print_their_table(capsys):
    pytest.importorskip("mujoco")
    assert run(grasps, "--scenes", 2, "--seed", 50001) == 0
    assert "| scenes | 2 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        (lift, ["--scenes", "0"], "--scenes must be above zero"),
        (lift, ["--plot", "/no/such/folder/a.png"], "--plot must be a file in a folder"),
        (grasps, ["--out", "/no/such/folder/a.json"], "--out must be a file in a folder"),
        (photographs, ["--photos", "/no/such/folder"], "--photos must be a folder"),
        (trust, ["--kinds", "photographs", "--rows", "/no/such/folder/a.jsonl"], "--rows must be a file in a folder"),
        (trust, ["--kinds", "robot cameras", "--folder", "/no/such/folder"], "give --folder"),
    ],
)
def test_a_mistake_is_one_line(program, arguments, words, capsys):
    assert run(program, *arguments) == 1
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.strip().splitlines()) == 1 and words in told.err


def test_trust_prints_its_table_and_writes_every_answer(tmp_path, capsys, monkeypatch):
    made_up = LabeledPicture(made_up_photograph(tmp_path), trust.PHOTOGRAPH, 1)
    monkeypatch.setattr(trust, "labeled_pictures", lambda half: [made_up])
    rows, plot, wrong = (tmp_path / name for name in ("rows.jsonl", "plot.png", "wrong.png"))
    files = ["--rows", rows, "--plot", plot, "--wrong", wrong]
    assert run(trust, "--kinds", trust.PHOTOGRAPH, "--folder", tmp_path, "--json", *files) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["pictures"] == {"listed": 1, "found": 1} and figures["kinds"]["photographs"]["questions"] == 2
    lines = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    assert [line["words"] for line in lines] == ["the red cube", "the mug"] and lines[1]["absent"]
    assert all(line["answer"]["query"] == line["words"] for line in lines)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (plot, wrong))


def made_up_photograph(folder):
    image = Image.new("RGB", (64, 48), (120, 110, 100))
    image.paste((200, 20, 20), (20, 20, 30, 30))
    image.save(folder / "table.png")
    digest = sha256((folder / "table.png").read_bytes()).hexdigest()
    box = ((20.0, 20.0), (30.0, 20.0), (30.0, 30.0), (20.0, 30.0))
    return Photograph("table.png", (64, 48), "a test", {"cube": box}, {"red cube": ("cube",), "mug": ()}, {}, digest)


def test_without_depth_compares_the_ways(capsys):
    assert run(without_depth, "--scenes", 4, "--seed", 1000, "--json") == 0
    ways = json.loads(capsys.readouterr().out)["ways"]
    assert list(ways) == ["depth", "plane", "two views", "three views"]
    assert ways["depth"]["median_mm"] < ways["three views"]["median_mm"] < ways["plane"]["median_mm"]
