"""The `bench` command on a tiny checkpoint."""

import json
from pathlib import Path

import pytest

from molmo_point.cli import main

from ..tiny_checkpoint import write_tiny_checkpoint


def test_bench_measures_every_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write_tiny_checkpoint(tmp_path), tmp_path / "bench.json"
    assert main(["bench", "--model", str(folder), "--rounds", "1", "--device", "cpu", "--json", "--out", str(out)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads(out.read_text(encoding="utf-8"))
    assert 0 < figures["first_point"]["median_ms"] <= figures["first_point"]["p95_ms"]
    assert figures["answer"]["median_ms"] > 0 and figures["tokens"] >= 1 and figures["token_ms"] > 0
    assert figures["peak_mib"] > 10 and figures["load_s"] > 0 and "threads" in figures["device"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rounds", "0"], "--rounds must be"),
        (["--threads", "-1"], "--threads must be"),
        (["--out", "/no/such/folder/b.json"], "--out must be a file in a folder"),
        (["--model", "/no/such/model"], "Fix:"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *arguments]) == 1
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.strip().splitlines()) == 1
    assert words in told.err
