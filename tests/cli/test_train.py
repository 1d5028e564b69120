"""`molmo-point train` from a run file to a run's folder; mistakes of the user are told in one line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from molmo_point.cli import main, train
from molmo_point.finetuning import tuning
from molmo_point.finetuning.run_settings import LabelData, TuneSettings
from molmo_point.viz.training_chart import draw_curves

RUN = "base: tabletop\nout: run\ndata: [{path: rows.jsonl}]\nstages: [{stage: point, images: 5}]\n"


def test_a_run_file_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    asked: list[TuneSettings] = []

    def tune(settings: TuneSettings, say: Callable[[str], None], after_check: object) -> Path:
        asked.append(settings)
        say("what was found")
        assert after_check is draw_curves
        return Path("there")

    monkeypatch.setattr(tuning, "tune", tune)
    assert main(["train", "--config", str(tmp_path / "run.yaml"), "--out", "elsewhere", "--skip-bad"]) == 0
    written = capsys.readouterr()
    trained, next_step = written.out.splitlines()
    assert trained == "trained: there" and written.err == "what was found\n"
    assert next_step.endswith("molmo-point eval calibration --data LABELS --model there --write")
    (entry,) = asked[0].data
    assert isinstance(entry, LabelData)
    assert (asked[0].out, asked[0].skip_bad, entry.path) == ("elsewhere", True, "rows.jsonl")
    assert main(["train", "--config", str(tmp_path / "run.yaml")]) == 0
    assert (asked[1].out, asked[1].skip_bad) == ("run", False)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (RUN + "seeed: 3\n", [], "unknown: seeed"),
        ("data: [{path: rows.jsonl}]\nout: run\nbase: tabletop\n", [], "missing: stages"),
        ("- 1", [], "must hold one mapping"),
        ("a: [", [], "valid JSON or YAML"),
        (RUN, [], "which does not exist"),
        # Training on rendered scenes is a program of the laboratory.
        (RUN, ["--scenes", "x"], "python -m lab.train"),
        ("scenes: x\nout: y\n", [], "python -m lab.train"),
        (RUN.replace("path", "scenes"), [], "python -m lab.train"),
    ],
)
def test_mistakes_are_told(
    text: str, options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(text)
    assert main(["train", "--config", "run.yaml", *options]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "Traceback" not in error
    assert not Path("run").exists(), "nothing is begun"


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err
    assert main(["train"]) == 1
    assert "no --config" in capsys.readouterr().err


def test_a_missing_library_is_told_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    monkeypatch.setattr(train, "find_spec", lambda name: None if name == "matplotlib" else object())
    assert main(["train", "--config", str(tmp_path / "run.yaml")]) == 1
    error = capsys.readouterr().err
    assert "no matplotlib" in error and "molmo_point[train]" in error and error.count("\n") == 1
