"""A user's checkpoint from end to end: labels, training, calibration, and an answer that says what it knows."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.camera.image_file import load_frame
from molmo_point.cautions import CautionKind
from molmo_point.cli import main
from molmo_point.evaluation.labeled_view import MIN_PIXELS, table_view
from molmo_point.finetuning.tuning import TuningTask
from molmo_point.pointer import Pointer
from molmo_point.results import Pointing
from tests.finetuning.conftest import settings


def kinds(pointing: Pointing) -> set[CautionKind]:
    return {caution.kind for caution in pointing.cautions}


def test_a_new_word_is_known_and_a_foreign_one_is_not(labels: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    picture = labels.parent / "0.png"
    frame = load_frame(picture)
    rows.write_text(json.dumps({"image": str(picture), "label": "the Claw Hammer", "points": [[50, 50]]}) + "\n")
    run = settings(Path("tabletop"), rows, tmp_path / "run", stages=[{"stage": "point", "images": 2}])
    pointer = Pointer.from_pretrained(TuningTask(run).save(), device="cpu")
    for words in ("the claw hammer", "Claw hammer.", "red cube"):
        found = kinds(pointer.point(frame, words, max_points=1))
        assert CautionKind.UNCALIBRATED in found and CautionKind.UNKNOWN_WORDS not in found
    assert CautionKind.UNKNOWN_WORDS in kinds(pointer.point(frame, "banana", max_points=1))


def write_tables(folder: Path, scenes: range) -> Path:
    """Write pictures of simulated tables and rows with boxes; balls have a new name."""
    folder.mkdir()
    rows = []
    for scene in scenes:
        view = table_view(scene)
        Image.fromarray(view.color).save(folder / f"{scene}.png")
        boxes: dict[str, list[list[float]]] = {}
        for k in view.visible:
            if view.pixels[k] >= MIN_PIXELS:
                name = view.objects[k]
                v, u = np.nonzero(view.instances == k)
                box = [float(each) for each in (u.min(), v.min(), u.max() + 1, v.max() + 1)]
                boxes.setdefault(f"{name.color} {'gizmo' if name.shape == 'ball' else name.shape}", []).append(box)
        rows += [{"image": f"{scene}.png", "label": name, "boxes": found} for name, found in boxes.items()]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "rows.jsonl"


@pytest.mark.slow
def test_from_labels_to_a_trusted_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = write_tables(tmp_path / "trained", range(962_500, 962_508))
    other = write_tables(tmp_path / "other", range(962_600, 962_632))
    run = {
        "base": "tabletop", "out": "run", "data": [{"path": str(trained), "unit": "pixels"}], "check_images": 2, "batch": 4,
        "stages": [{"stage": "point", "images": 8, "rates": {"connector": 0, "vision": 0, "language": 1e-4}}],
    }  # fmt: skip
    Path("run.json").write_text(json.dumps(run))
    assert main(["train", "--config", "run.json"]) == 0
    assert "eval calibration --data LABELS --model run/checkpoint --write" in capsys.readouterr().out.splitlines()[-1]
    calibrate = ["eval", "calibration", "--unit", "pixels", "--model", "run/checkpoint", "--data"]
    assert main([*calibrate, str(trained)]) == 1
    assert "8 pictures left out: the model was trained on them" in capsys.readouterr().err
    assert main([*calibrate, str(other), "--write", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["answers"]["present_right"]["share"] > 0.5
    pointer = Pointer.from_pretrained("run/checkpoint", device="cpu")
    rows = [json.loads(line) for line in other.read_text().splitlines()]
    answers = [(row["label"], pointer.point(load_frame(other.parent / row["image"]), row["label"])) for row in rows]
    gizmos = [kinds(answer) for label, answer in answers if "gizmo" in label]
    assert gizmos and not any(CautionKind.UNKNOWN_WORDS in found for found in gizmos)
    assert np.mean([answer.trusted for _, answer in answers]) > 0.5
    assert all(np.isfinite(point.confidence) for _, answer in answers if answer.trusted for point in answer.points)
    foreign = pointer.point(load_frame(other.parent / rows[0]["image"]), "the purple banana")
    assert CautionKind.UNKNOWN_WORDS in kinds(foreign)
