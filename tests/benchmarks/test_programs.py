"""`eval lift`, `eval tracking` and `eval grasps` from the command to their figures, as small as they get."""

import json

import pytest

from benchmarks.tracking import benchmark as tracking
from molmo_point.cli import main


def test_lift_prints_writes_and_draws(tmp_path, capsys):
    pytest.importorskip("pyrealsense2")
    out, plot = tmp_path / "lift.json", tmp_path / "lift.png"
    assert main(["eval", "lift", "--scenes", "2", "--json", "--out", str(out), "--plot", str(plot)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads(out.read_text(encoding="utf-8"))
    # Four true points a scene, each asked with three errors.
    assert figures["scenes"] == 2 and figures["points"] == 24
    assert figures["estimators"]["molmo-point"]["all"]["error_mm_median"] < 20.0
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_lift_says_the_same_twice(capsys):
    pytest.importorskip("pyrealsense2")
    tables = []
    for seed in ("5", "5", "6"):
        assert main(["eval", "lift", "--scenes", "1", "--seed", seed, "--json"]) == 0
        ours = json.loads(capsys.readouterr().out)["estimators"]["molmo-point"]["all"]
        tables.append(ours["error_mm_median"])
    assert tables[0] == tables[1] != tables[2]


def test_tracking_prints_its_table(capsys, monkeypatch):
    pytest.importorskip("cv2")
    pytest.importorskip("mujoco")
    whole = tracking.evaluate
    monkeypatch.setattr(tracking, "evaluate", lambda sequences, first: whole(sequences, first, seconds=1.2))
    assert main(["eval", "tracking", "--scenes", "1"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| molmo_point |"))
    assert 0.0 < float(row.split("|")[2]) < 30.0


def test_grasps_print_their_table_and_refuse_a_plot(capsys, tmp_path):
    pytest.importorskip("mujoco")
    assert main(["eval", "grasps", "--scenes", "2", "--seed", "50001"]) == 0
    assert "| scenes | 2 |" in capsys.readouterr().out
    assert main(["eval", "grasps", "--scenes", "1", "--plot", str(tmp_path / "a.png")]) != 0
    assert "no plot" in capsys.readouterr().err
