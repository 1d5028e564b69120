"""`molmo-point eval calibration --data`: fitted and stored from a user's rows; mistakes are told before the model is loaded."""

import json
from pathlib import Path

import pytest

from molmo_point.cli import main
from molmo_point.model.checkpoint.quality_file import measured_quality
from molmo_point.model.checkpoint.trust_file import training_description, write_training_description
from molmo_point.pointer import Pointer
from molmo_point.trust.trained_words import TrainedWords
from molmo_point.trust.training_description import TrainingDescription
from tests.evaluation.own_pictures import NAMES, SureModel, write_pictures


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "labels").mkdir()
    return write_pictures(tmp_path / "labels", 40)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a checkpoint that answers as a `SureModel`."""
    folder = tmp_path / "run" / "checkpoint"
    folder.mkdir(parents=True)
    monkeypatch.setattr(Pointer, "from_pretrained", lambda *_, **__: Pointer(SureModel()))
    return folder


def calibrate(labels: Path, model: Path, *options: str) -> int:
    return main(["eval", "calibration", "--data", str(labels), "--model", str(model), *options])


def test_the_calibration_of_own_pictures_is_shown_and_stored(
    labels: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_training_description(model, TrainingDescription(TrainedWords(groups={"colors": ("red",)})))
    assert calibrate(labels, model, "--write", "--plot", str(tmp_path / "plot.png")) == 0
    told = capsys.readouterr().out
    assert "| present right | 100.0 % |" in told and "| confidence | ece calibrated |" in told
    assert (tmp_path / "plot.png").stat().st_size > 1000
    stored = json.loads((model / "pointing.json").read_text())["calibration"]
    assert stored["measured_on"]["pictures"] == stored["fitted_on"]["pictures"] == 20
    assert measured_quality(model)[1].is_fitted
    vocabulary = training_description(model).vocabulary
    assert vocabulary is not None and vocabulary.groups == {"colors": ("red",), "labels": tuple(sorted(NAMES))}


def test_words_are_stored_only_for_a_model_that_has_some_or_shall(
    labels: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(labels, model, "--write", "--json") == 0
    assert json.loads(capsys.readouterr().out)["answers"]["absent_denied"]["trials"] == 20
    assert not (model / "trust.json").exists()
    assert calibrate(labels, model, "--write", "--vocabulary") == 0
    vocabulary = training_description(model).vocabulary
    assert vocabulary is not None and vocabulary.groups == {"labels": tuple(sorted(NAMES))}


def test_pictures_of_the_training_are_left_out(labels: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"path": str(labels), "format": "", "images": "", "unit": ""}
    (model.parent / "settings.json").write_text(json.dumps({"validation_share": 0.75, "data": [entry]}))
    (model.parent / "progress.json").write_text("{}")
    assert calibrate(labels, model) == 0
    assert "10 pictures left out: the model was trained on them" in capsys.readouterr().err
    entry["path"] = str(labels.parent / "gone.jsonl")
    (model.parent / "settings.json").write_text(json.dumps({"validation_share": 0.75, "data": [entry]}))
    assert calibrate(labels, model) == 0
    assert "make sure that none is among these" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--data", "none.jsonl"], "which does not exist"),
        (["--data", "{labels}", "--scenes", "3"], "--scenes must be given without --data"),
        (["--data", "{labels}", "--radius", "0"], "--radius must be a percentage"),
        (["--data", "{labels}", "--radius", "nan"], "--radius must be a percentage"),
        (["--data", "{labels}", "--vocabulary"], "--vocabulary must be given with --write"),
        (["--data", "{labels}", "--absent", "rows"], "0 names of absent objects"),
        (["--data", "{labels}", "--unit", "pixels"], "outside the image"),
        (["--radius", "3"], "must be given with --data"),
        (["--skip-bad"], "--skip-bad without --data"),
    ],
)
def test_mistakes_are_told_in_one_line(
    options: list[str], told: str, tmp_path: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (labels.parent / "wide.jsonl").write_text('{"image": "0.png", "label": "square", "points": [[90, 90]]}\n')
    labels = labels.parent / "wide.jsonl" if "pixels" in options else labels
    assert main(["eval", "calibration", *(option.format(labels=labels) for option in options)]) == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
