"""Rendered scenes as a source of a tuning run, alone and among labels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.training.scene_source import SceneData, SceneSource, SceneTuneSettings
from molmo_point.errors import InputError
from molmo_point.finetuning.mixture import Mixture
from molmo_point.finetuning.run_file import parse_settings
from molmo_point.finetuning.run_settings import LabelData
from molmo_point.finetuning.sample import AnswerKind

STAGES = [{"stage": "point", "images": 4}, {"stage": "caption", "images": 4}]


def settings(*data: dict[str, object]) -> SceneTuneSettings:
    values = {"base": "tabletop", "out": "run", "stages": STAGES, "annotations": 4, "data": list(data)}
    return parse_settings(SceneTuneSettings, values, "run.yaml")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / "0.png")
    rows = ('{"image": "0.png", "label": "mugs", "points": []}', '{"image": "0.png", "caption": "An empty shelf."}')
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    return tmp_path / "rows.jsonl"


def test_scenes_and_labels_mixed(labels: Path, scenes: Path) -> None:
    run = settings({"path": str(labels), "weight": 1}, {"scenes": str(scenes), "weight": 3, "short_answers": 0.5})
    assert [type(entry) for entry in run.data] == [LabelData, SceneData]
    mixture, rng = Mixture(run), np.random.default_rng(0)
    assert [line.split(": ")[1].split(",")[0] for line in mixture.report()] == ["2 labels", "12 rendered scenes"]
    drawn = [mixture.draw("point", rng) for _ in range(80)]
    rendered = [sample for sample in drawn if sample is not None and sample.pixels.shape[1] > 60]
    assert 45 < len(rendered) < 75
    kinds = {example.kind for sample in rendered for example in sample.examples}
    assert {AnswerKind.POINTS, AnswerKind.COUNT, AnswerKind.TEXT} <= kinds
    captions = [mixture.draw("caption", rng) for _ in range(30)]
    assert all(example.kind is AnswerKind.CAPTION for sample in captions if sample for example in sample.examples)
    assert any(sample is not None and "table" in sample.examples[0].answer for sample in captions)


def test_points_of_a_scene_are_on_its_objects(scenes: Path) -> None:
    source, rng, checked = SceneSource(scenes, 0.0), np.random.default_rng(1), 0
    for _ in range(30):
        sample = source.draw("point", 4, rng)
        assert sample is not None and len(sample.examples) <= 4
        for example in sample.examples:
            assert example.percent is not None
            assert len(example.percent) == example.answer.count("x=") + sum(f" x{k}=" in example.answer for k in range(1, 9))
            checked += len(example.percent)
    assert checked > 30


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"scenes": "a", "wight": 1}, r"data\[0\]: unknown: wight"),
        ({"scenes": "a", "short_answers": 2}, r"data\[0\]\.short_answers = 2 must be less"),
        ({"path": "a", "scenes": "b"}, r"data\[0\]: unknown: path"),
        ({}, r"data\[0\]: missing: path"),
        ("scenes", r"data\[0\] = 'scenes' must be names"),
    ],
)
def test_mistakes_in_an_entry_of_scenes_are_named(entry: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        settings(entry)
