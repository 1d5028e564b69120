"""`train` from a file and from options to a run's folder; mistakes of the user are told in one line."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lab.training import trainer
from lab.training.scenes import render_shard
from lab.training.settings import TrainSettings
from molmo_point.cli import main
from molmo_point.cli.train import _SETTINGS, draw_curves
from molmo_point.finetuning import tuner
from molmo_point.finetuning.settings import TuneSettings


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    render_shard(folder, "shard_0", seed=7, image_count=4)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained model rambles: asking it takes longer than everything else."""
    monkeypatch.setattr(trainer, "answer_scores", lambda *_: {"name": 0.25, "absent": 0.5})


def test_a_run_from_a_file_with_an_option_on_top(
    scenes: Path, tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "run.yaml", tmp_path / "run"
    config.write_text(
        f"scenes: {scenes}\nout: {out}\nsee_images: 2\npoint_images: 8\nbatch: 2\nworkers: 1\nsee_rate: 1e-3\ncheck_every: 2\n"
    )
    assert main(["train", "--config", str(config), "--point-images", "2"]) == 0
    assert str(out / "checkpoint") in capsys.readouterr().out
    settings = json.loads((out / "settings.json").read_text())
    assert (settings["see_images"], settings["point_images"], settings["see_rate"]) == (2, 2, 1e-3)
    with (out / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["images"] for row in rows] == ["2", "4"]
    assert rows[0]["name"] == "" and rows[1]["name"] == "0.25"
    assert all(row["scenes"] == "4" and 0 <= float(row["see_color"]) <= 1 for row in rows)
    with Image.open(out / "curves.png") as curves:
        assert curves.width > 1000
    # Another plan is refused, and taken when asked for; all plans are kept.
    assert main(["train", "--config", str(config), "--point-images", "4"]) == 1
    assert "point_images" in capsys.readouterr().err
    assert main(["train", "--config", str(config), "--point-images", "4", "--replan"]) == 0
    plans = [json.loads(line) for line in (out / "plans.jsonl").read_text().splitlines()]
    assert [(plan["from_images"], plan["point_images"]) for plan in plans] == [(0, 2), (4, 4)]
    assert main(["train", "--config", str(config), "--point-images", "4", "--seed", "5", "--replan"]) == 1
    assert "seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sceenes: here", "sceenes"),
        ("batch: many", "batch = 'many'"),
        ("batch: 2.5", "batch = 2.5"),
        ("seed: true", "seed = True"),
        ("- 1", "list"),
        ("a: [", "no YAML"),
        ("batch: 4", "no --scenes and no --out"),
        ("scenes: nowhere\nout: {out}\nsize: huge", "huge"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text(text.replace("{out}", str(tmp_path / "out")))
    assert main(["train", "--config", str(config)]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error and error.count("\n") == 1


TUNING = "base: tabletop\nout: run\ndata: [{path: rows.jsonl}]\nstages: [{stage: point, images: 5}]\n"


def test_a_file_with_data_trains_further(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.yaml").write_text(TUNING)
    asked: list[TuneSettings] = []

    def tune(settings: TuneSettings, say: Callable[[str], None], after_check: object) -> Path:
        asked.append(settings)
        say("what was found")
        assert after_check is draw_curves
        return Path("there")

    monkeypatch.setattr(tuner, "tune", tune)
    assert main(["train", "--config", str(tmp_path / "run.yaml"), "--out", "elsewhere", "--skip-bad"]) == 0
    written = capsys.readouterr()
    assert written.out == "trained: there\n" and written.err == "what was found\n"
    assert (asked[0].out, asked[0].skip_bad, asked[0].data[0].path) == ("elsewhere", True, "rows.jsonl")
    assert main(["train", "--config", str(tmp_path / "run.yaml")]) == 0
    assert (asked[1].out, asked[1].skip_bad) == ("run", False)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (TUNING, ["--point-images", "5"], "--point-images"),
        (TUNING, ["--scenes", "x", "--replan"], "--scenes, --replan"),
        (TUNING + "seeed: 3\n", [], "unknown: seeed"),
        ("data: [{path: rows.jsonl}]\n", [], "stages: missing"),
        ("base: tabletop\n", [], "data: missing"),
        ("scenes: x\nout: y\n", ["--skip-bad"], "--skip-bad"),
        (TUNING, [], "no such file of rows"),
    ],
)
def test_what_is_wrong_with_training_further_is_told(
    text: str, options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(text)
    assert main(["train", "--config", "run.yaml", *options]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "Traceback" not in error
    assert not Path("run").exists(), "nothing is begun"


def test_a_missing_file_and_missing_scenes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err
    assert main(["train", "--scenes", str(tmp_path), "--out", str(tmp_path / "run")]) == 1
    assert "no training scenes" in capsys.readouterr().err


def test_every_setting_is_an_option() -> None:
    assert {name: type(value) for name, value in vars(TrainSettings()).items()} == {k: kind for k, (kind, _) in _SETTINGS.items()}
    for name, (_, words) in _SETTINGS.items():  # --help says the defaults
        default = getattr(TrainSettings(), name)
        said = [float(number) for number in re.findall(r"[\d.]+(?:e-?\d+)?", words.rpartition("(")[2])]
        assert default == "" or str(default) in words or float(default) in said, name
