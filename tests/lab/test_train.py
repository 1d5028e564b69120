"""`python -m lab.train` from a file and from options to the folder of a run; mistakes are told in one line."""

import csv
import json
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from lab import train
from lab.training import pretraining
from lab.training.scene_source import SceneTuneSettings
from lab.training.scenes import render_shard
from molmo_point.viz.training_chart import draw_curves


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    render_shard(folder, "shard_0", seed=7, image_count=4)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained model rambles: asking it takes longer than everything else. Four views are enough to look at."""
    monkeypatch.setattr(pretraining, "seeing_scores", partial(pretraining.seeing_scores, count=4))
    monkeypatch.setattr(pretraining, "topic_scores", lambda *_: {"name": 0.25, "absent": 0.5})


def test_a_run_from_a_file_with_an_option_on_top(
    scenes: Path, tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "run.yaml", tmp_path / "run"
    config.write_text(
        f"scenes: {scenes}\nout: {out}\nsee_images: 2\npoint_images: 8\nbatch: 2\nworkers: 1\nsee_rate: 1e-3\ncheck_every: 2\n"
    )
    assert train.main(["--config", str(config), "--point-images", "2"]) == 0
    assert str(out / "checkpoint") in capsys.readouterr().out
    settings = json.loads((out / "settings.json").read_text())
    assert (settings["see_images"], settings["point_images"], settings["see_rate"]) == (2, 2, 1e-3)
    with (out / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["images"], row["stage"]) for row in rows] == [("2", "see"), ("4", "point")]
    assert rows[0]["name"] == "" and rows[1]["name"] == "0.25"
    assert all(row["scenes"] == "4" and 0 <= float(row["see_color"]) <= 1 for row in rows)
    with Image.open(out / "curves.png") as curves:
        assert curves.width > 1000
    # Another plan is refused, and taken when asked for.
    assert train.main(["--config", str(config), "--point-images", "4"]) == 1
    assert "point_images" in capsys.readouterr().err
    assert train.main(["--config", str(config), "--point-images", "4", "--replan"]) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sceenes: here", "unknown: sceenes"),
        ("batch: many", "batch = 'many' must be"),
        ("seed: true", "seed = True must be a number"),
        ("batch: 4", "missing: scenes"),
        ("scenes: nowhere\nout: {out}\nsize: huge", "size = 'huge' must be 'small' or 'medium'"),
        ("scenes: nowhere\nout: {out}", "must hold complete shards"),
    ],
)
def test_mistakes_of_a_file_are_told(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text(text.replace("{out}", str(tmp_path / "out")))
    assert train.main(["--config", str(config)]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists(), "nothing is begun"


TUNING = "base: tabletop\nout: run\ndata: [{scenes: shards}]\nstages: [{stage: point, images: 5}]\n"


def test_a_file_with_data_trains_further(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.yaml").write_text(TUNING)
    asked: list[SceneTuneSettings] = []

    def tune(settings: SceneTuneSettings, say: object, after_check: object) -> Path:
        asked.append(settings)
        assert after_check is draw_curves
        return Path("there")

    monkeypatch.setattr(train, "tune", tune)
    assert train.main(["--config", str(tmp_path / "run.yaml"), "--out", "elsewhere", "--skip-bad"]) == 0
    assert capsys.readouterr().out == "trained: there\n"
    assert (asked[0].out, asked[0].skip_bad, asked[0].data[0].scenes) == ("elsewhere", True, "shards")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (TUNING, ["--point-images", "5"], "--point-images"),
        (TUNING, ["--scenes", "x", "--replan"], "--scenes, --replan"),
        ("scenes: x\nout: y\n", ["--skip-bad"], "--skip-bad"),
        ("data: [{scenes: shards}]\n", [], "missing: base"),
    ],
)
def test_mistakes_of_training_further_are_told(
    text: str, options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(text)
    assert train.main(["--config", str(tmp_path / "run.yaml"), *options]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_help_says_every_setting_with_its_default() -> None:
    text = " ".join(train.parser().format_help().split())
    for said in ("--see-images VALUE images on which", "(16800)", "--also-share", "(0.25)", "--size", "(small)"):
        assert said in text
