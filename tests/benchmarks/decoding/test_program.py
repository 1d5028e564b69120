"""The decoding benchmark from a tiny checkpoint to tables, JSON and a figure; no test gates a time."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.decoding.__main__ import main

from ...tiny_checkpoint import write_tiny_checkpoint

SECTIONS = ["first_point", "passes", "points", "queries", "repeats", "preprocessing", "stages", "ladder"]
FIGURES = {"name", "ratio", "median_ms", "p95_ms", "min_ms", "floor_percent"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def measured(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One run: exit code, stdout's JSON, and the folder with what was written."""
    out = tmp_path_factory.mktemp("bench")
    arguments = ["--model", str(tiny), "--quick", "--rounds", "1", "--json", "--device", "cpu"]
    written = ["--out", str(out / "b.json"), "--markdown", str(out / "b.md"), "--plot", str(out / "b.png")]
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        code = main([*arguments, *written])
    return code, json.loads(lines[-1]), out


def test_the_report_has_every_part(measured: Any) -> None:
    code, data, _ = measured
    assert code == 0
    assert set(data) == {"subject", "machine", "floor", "equality", "identity", "sections"}
    assert [section["name"] for section in data["sections"]] == SECTIONS
    assert set(data["floor"]) == {"bytes_per_s", "flop_per_s"} and min(data["floor"].values()) > 0
    for section in data["sections"]:
        assert section["title"] and section["note"] and section["lines"]
        for line in section["lines"]:
            assert set(line) >= FIGURES
            times = [line[name] for name in ("min_ms", "median_ms", "p95_ms")]
            assert times == [None] * 3 or 0 < times[0] <= times[1] <= times[2]
    assert {"model", "precision", "frame", "rounds"} == set(data["subject"])
    assert "load average" in data["machine"]


def test_gate_tokens_are_those_of_plain_greedy(measured: Any) -> None:
    _, data, _ = measured
    assert data["equality"]["different"] == 0 and data["equality"]["where"] == []
    assert data["equality"]["compared"] >= 30


def test_gate_counts(measured: Any) -> None:
    _, data, _ = measured
    lines = {s["name"]: {line["name"]: line for line in s["lines"]} for s in data["sections"]}
    assert lines["points"]["1 point, ours"]["passes"] <= 4
    assert lines["points"]["5 points, ours"]["passes"] == lines["passes"]["5 points, template and fans"]["passes"]
    assert lines["points"]["5 points, plain generate"]["passes"] == lines["passes"]["5 points, plain"]["passes"]
    assert lines["repeats"]["point, same frame again"]["image_reused"] == 1
    assert lines["repeats"]["count after point, same frame"]["image_reused"] == 1
    assert lines["repeats"]["point, new frame, nothing moved"]["image_reused"] == 0
    assert "oracle script" in next(s["note"] for s in data["sections"] if s["name"] == "points")


def test_what_is_written(measured: Any) -> None:
    _, data, out = measured
    assert json.loads((out / "b.json").read_text()) == data
    assert "## Stages" in (out / "b.md").read_text()
    with Image.open(out / "b.png") as picture:
        assert picture.size[0] > 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rounds", "0"], "--rounds must be"),
        (["--threads", "-1"], "--threads must be"),
        (["--scenes", "-1"], "--scenes must be"),
        (["--layers", "2"], "--layers must go with --random"),
        (["--random", "molmo-8b"], "SHAPE must be a known one"),
        (["--random", "molmo-7b-d", "--scenes", "3"], "random ones have no answers"),
        (["--plot", "/no/such/folder/b.png"], "must be a file in a folder"),
        (["--model", "/no/such/model"], "Fix:"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.strip().splitlines()) == 1
    assert words in told.err
