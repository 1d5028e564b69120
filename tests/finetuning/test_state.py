"""The folder of a run holds its own files only: foreign ones are never overwritten or removed."""

import json
from pathlib import Path

import pytest
import torch

from molmo_point.errors import InputError
from molmo_point.finetuning.run_file import parse_settings
from molmo_point.finetuning.run_settings import TuneSettings
from molmo_point.finetuning.state import append_log, images_done, record_settings, refuse_another_run, save_state


def settings(out: Path) -> TuneSettings:
    stages = [{"stage": "point", "images": 8}]
    return parse_settings(
        TuneSettings, {"base": "tabletop", "out": str(out), "data": [{"path": "a.jsonl"}], "stages": stages}, "run"
    )


@pytest.mark.parametrize("name", ["checkpoint", "adapter", "log.csv", "settings.json", "curves.png", "plans.jsonl"])
def test_a_folder_with_foreign_files_is_refused(tmp_path: Path, name: str) -> None:
    if "." in name:
        (tmp_path / name).write_text('{"editor.fontSize": 12}')
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=name):
        refuse_another_run(settings(tmp_path))


def test_a_run_goes_on_in_its_own_folder(tmp_path: Path) -> None:
    run = settings(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    refuse_another_run(run)
    record_settings(run)
    append_log(tmp_path, ("images", "token"), {"images": 8, "token": float("nan")})
    append_log(tmp_path, ("images", "token"), {"images": 16, "token": 0.5, "other": 1})
    assert (tmp_path / "log.csv").read_text().splitlines() == ["images,token", "8,", "16,0.5"]
    refuse_another_run(run)
    record_settings(run)
    assert len((tmp_path / "plans.jsonl").read_text().splitlines()) == 1


def test_old_states_are_removed_and_nothing_else(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    (tmp_path / "state-of-the-art").mkdir()
    for count in (8, 16):
        save_state(tmp_path, count, {"model": model}, optimizer)
    assert images_done(tmp_path) == 16
    assert sorted(path.name for path in tmp_path.iterdir()) == ["progress.json", "state-16", "state-of-the-art"]


@pytest.mark.parametrize("name", ["log.csv", "plans.jsonl"])
def test_a_link_is_not_appended_to(tmp_path: Path, name: str) -> None:
    (tmp_path / "theirs").write_text("theirs")
    out = tmp_path / "run"
    out.mkdir()
    (out / name).symlink_to(tmp_path / "theirs")
    with pytest.raises(InputError, match="a link"):
        append_log(out, ("images",), {"images": 1}) if name == "log.csv" else record_settings(settings(out))
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_a_broken_progress_is_named(tmp_path: Path) -> None:
    for text in ("{", json.dumps({"images_seen": "many"}), "[]"):
        (tmp_path / "progress.json").write_text(text)
        with pytest.raises(InputError, match=r"progress\.json"):
            images_done(tmp_path)
