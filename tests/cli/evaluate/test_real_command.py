"""`molmo-point eval real`: figures and pictures of labeled frames, the same at every run; mistakes are one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from molmo_point.cli import main
from tests.evaluation.real.labeled_box import write_labeled_box
from tests.real_data import RGBD, needs_real


def measured(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert main(["eval", "real", *options, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def without_times(figures: dict[str, Any]) -> str:
    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(part) for name, part in value.items() if not name.endswith("_ms")}
        return [kept(part) for part in value] if isinstance(value, list) else value

    return json.dumps(kept(figures))


def test_a_labeled_frame_is_measured_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_labeled_box(tmp_path / "set" / "one")
    (tmp_path / "pictures").mkdir()
    options = (str(tmp_path / "set"), "--draws", "8", "--pictures", str(tmp_path / "pictures"))
    figures = measured(capsys, *options)
    assert figures["frames"] == 1 and figures["lift"]["all"]["points"] == 4
    assert figures["lift"]["plain"]["gross"]["share"] == 0 and figures["lift"]["glass"]["refused"]["share"] == 1
    assert figures["grasps"]["objects"] == 5 and figures["grasps"]["found_of_graspable"]["trials"] == 1
    assert {row["point"] for row in figures["grasp_trials"]} == {"box", "table", "edge", "glass", "unknown"}
    for part in ("points", "grasps"):
        picture = np.asarray(Image.open(tmp_path / "pictures" / f"one-{part}.png"))
        assert picture.shape[1] > 1000 and picture.std() > 20
    assert without_times(measured(capsys, *options)) == without_times(figures)


def test_the_table_names_kinds_frames_and_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "real", str(write_labeled_box(tmp_path / "one")), "--draws", "2"]) == 0
    shown = capsys.readouterr().out
    assert all(words in shown for words in ("| plain |", "| glass |", "| one |", "region ok", "ellipsoids"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "FOLDER"),
        (("{tmp}/nowhere",), "readable"),
        (("{tmp}/one", "--pictures", "{tmp}/none"), "--pictures must be a folder"),
        (("{tmp}/one", "--labels", "{tmp}/none.json"), "none.json"),
        (("{tmp}/one", "--failures", "{tmp}"), "--failures belongs to eval pick"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], told: str) -> None:
    write_labeled_box(tmp_path / "one")
    assert main(["eval", "real", *(option.format(tmp=tmp_path) for option in options)]) == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_a_folder_belongs_to_real_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "tabletop", str(tmp_path)]) == 1
    assert "belongs to eval real" in capsys.readouterr().err


@needs_real
def test_plain_surfaces_of_a_real_frame_are_lifted(capsys: pytest.CaptureFixture[str]) -> None:
    figures = measured(capsys, str(RGBD / "hammer"), "--draws", "5")
    assert figures["lift"]["plain"]["points"] >= 5
    assert figures["lift"]["plain"]["gross"]["share"] == 0 and figures["lift"]["plain"]["refused"]["share"] <= 0.02
