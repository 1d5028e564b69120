"""`molmo-point demo`: the path over a rendered table, with a scripted model that knows the truth."""

import functools
import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image

from molmo_point.backend import WholeAnswerBackend
from molmo_point.cli import main
from molmo_point.pointer import Pointer
from molmo_point.results import Completion

# Not importorskip: importing MuJoCo before the scene does would choose a renderer that needs a screen.
pytestmark = pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="MuJoCo is not installed")
SEED = 4


@functools.cache
def places() -> dict[str, tuple[float, float]]:
    """The true middle of every visible object, in percent of the image."""
    from molmo_point.sim import TabletopScene

    with TabletopScene.random(SEED) as scene:
        width, height = scene.intrinsics.size_wh
        return {
            thing.item.name: ((thing.uv[0] + 0.5) / width * 100, (thing.uv[1] + 0.5) / height * 100)
            for thing in scene.visible_objects(150)
        }


class Oracle(WholeAnswerBackend):
    """Points at the true middle of the named object, `offset_percent` to the right of it."""

    name = "oracle"

    def __init__(self, offset_percent: float = 0.0):
        self.offset_percent = offset_percent

    def answer(self, image, prompt, limits):
        name = next(name for name in places() if name in prompt.text)
        x, y = places()[name]
        text = f' <point x="{x + self.offset_percent:.3f}" y="{y:.3f}" alt="{name}">{name}</point>'
        return Completion(text, 9, "stop", {})


def answers(monkeypatch, capsys, out: Path, oracle: Oracle) -> tuple[int, dict]:
    monkeypatch.setattr(Pointer, "from_pretrained", staticmethod(lambda *_, **__: Pointer(oracle)))
    code = main(["demo", "--seed", str(SEED), "--out", str(out), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_true_point_is_within_millimetres_and_a_shifted_one_is_not(monkeypatch, capsys, tmp_path):
    code, report = answers(monkeypatch, capsys, tmp_path / "a", Oracle())
    errors = [answer["error_mm"] for answer in report["answers"]]
    assert code == 0 and len(errors) >= 2 and max(errors) < 6.0, errors
    assert all(answer["sigma_mm"] > 0 for answer in report["answers"])
    for path in report["pictures"]:
        with Image.open(path) as picture:
            assert min(picture.size) >= 480
    _, shifted = answers(monkeypatch, capsys, tmp_path / "b", Oracle(offset_percent=1.5))
    assert min(answer["error_mm"] for answer in shifted["answers"]) > 6.0


def test_the_table_names_query_position_truth_and_error(monkeypatch, capsys, tmp_path):
    oracle = Oracle()
    monkeypatch.setattr(Pointer, "from_pretrained", staticmethod(lambda *_, **__: Pointer(oracle)))
    assert main(["demo", "--seed", str(SEED), "--out", str(tmp_path), "--queries", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for title in ("camera x y z m", "base x y z m", "σ mm", "truth in base m", "error mm", "ms"):
        assert title in lines[0]
    assert any(name in lines[2] for name in places())
    assert any("overlay.png" in line for line in lines)


def test_cautions_are_told_in_the_table_and_in_json():
    from molmo_point.cautions import Caution, CautionKind
    from molmo_point.cli.demo import lines
    from molmo_point.plain_json import plain_json

    answer = {
        "query": "mug", "uv": None, "truth_base_m": [0.0, 0.0, 0.0], "error_mm": None, "total_ms": 1.0,
        "cautions": [Caution(CautionKind.UNKNOWN_WORDS, "oracle knows no mugs")],
    }  # fmt: skip
    assert lines([answer])[-1] == "caution mug: UNKNOWN_WORDS: oracle knows no mugs"
    assert plain_json(answer)["cautions"][0]["kind"] == "UNKNOWN_WORDS"
