"""`point --grasp`: a block on a table, seen from above, with a scripted model."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.backend import WholeAnswerBackend
from molmo_point.cli import main
from molmo_point.geometry.transforms import Transform, save_transform
from molmo_point.pointer import Pointer
from molmo_point.results import Completion

WIDTH_M = 34 * 0.46 / 300.0
SIZE = (240, 320)


class _Backend(WholeAnswerBackend):
    name = "scripted"

    def __init__(self, text: str):
        self.text, self.asked = text, 0

    def answer(self, image, prompt, limits):
        self.asked += 1
        return Completion(self.text, 12, "stop", {})


@pytest.fixture
def model(monkeypatch) -> _Backend:
    backend = _Backend(' <point x="50.0" y="50.0" alt="block">block</point>')
    monkeypatch.setattr(Pointer, "from_pretrained", staticmethod(lambda *args, **options: Pointer(backend)))
    return backend


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A block of 52 by 92 mm, 40 mm high, seen straight from above at 0.5 m."""
    depth = np.full(SIZE, 0.5, np.float32)
    depth[90:150, 143:177] = 0.46
    np.save(tmp_path / "depth.npy", depth)
    Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(tmp_path / "image.png")
    keys = {"width": 320, "height": 240, "fx": 300.0, "fy": 300.0, "cx": 159.5, "cy": 119.5}
    (tmp_path / "k.json").write_text(json.dumps(keys))
    return tmp_path


def ask(files: Path, capsys, *arguments: object, depth: bool = True) -> tuple[int, str, str]:
    command = ["point", "the block", "--image", files / "image.png"]
    command += ["--depth", files / "depth.npy", "--intrinsics", files / "k.json"] if depth else []
    code = main([str(each) for each in [*command, *arguments]])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_json_has_the_grasps_of_each_target(model, files, capsys):
    code, out, _ = ask(files, capsys, "--grasp", "--json")
    answer = json.loads(out)
    assert code == 0 and len(answer["grasps"]) == len(answer["targets"]) == 1
    best = answer["grasps"][0]["candidates"][0]
    assert best["width_m"] == pytest.approx(WIDTH_M, abs=0.002)
    assert abs(best["closing"][0]) > 0.99 and best["approach"][2] > 0.99
    assert best["frame"] == answer["targets"][0]["frame"]
    assert "grasps" not in json.loads(ask(files, capsys, "--json")[1])


def test_table_and_overlay(model, files, capsys):
    plain, drawn = files / "plain.png", files / "drawn.png"
    ask(files, capsys, "--overlay", plain)
    code, out, _ = ask(files, capsys, "--grasp", "--overlay", drawn)
    head = next(line for line in out.splitlines() if "width mm" in line)
    row = out.splitlines()[out.splitlines().index(head) + 2].split()
    assert code == 0 and row[:2] == ["1", "block"] and float(row[5]) == pytest.approx(WIDTH_M * 1e3, abs=2)
    assert float(row[4]) == pytest.approx(0.46 + 0.018, abs=0.03)
    # Fingers stand left and right of the block; the row of pixels beside it changes there only with a grasp.
    before, after = (np.array(Image.open(path)).astype(int) for path in (plain, drawn))
    assert (before != after)[100:140, 100:140].any() and (before != after)[100:140, 180:220].any()


def test_an_opening_that_is_too_small_leaves_reasons(model, files, capsys):
    code, out, _ = ask(files, capsys, "--grasp", "--opening", "0.05")
    assert code == 0 and "no grasp" in out and "TOO_WIDE" in out
    wide = json.loads(ask(files, capsys, "--grasp", "--opening", "0.2", "--json")[1])
    narrow = json.loads(ask(files, capsys, "--grasp", "--json")[1])
    widths = [max(grasp["width_m"] for grasp in answer["grasps"][0]["candidates"]) for answer in (wide, narrow)]
    assert widths[0] > 0.085 > widths[1]


def test_grasps_go_to_the_base_with_their_targets(model, files, capsys):
    down = Transform("base", "camera", np.diag([1.0, -1.0, -1.0]), np.array([0.4, 0.0, 0.5]))
    frame = json.loads(ask(files, capsys, "--json")[1])["targets"][0]["frame"]
    save_transform(files / "t.yaml", Transform("base", frame, down.rotation, down.translation_m))
    _, out, _ = ask(files, capsys, "--grasp", "--json", "--transform", files / "t.yaml")
    answer = json.loads(out)
    best = answer["grasps"][0]["candidates"][0]
    assert best["frame"] == "base" and best["approach"][2] < -0.99
    assert best["position_m"][0] == pytest.approx(0.4, abs=0.01) and 0.0 < best["position_m"][2] < 0.04
    assert "grasps in base" in ask(files, capsys, "--grasp", "--transform", files / "t.yaml")[1]


def test_no_target_is_no_grasp(model, files, capsys):
    depth = np.full(SIZE, np.nan, np.float32)
    depth[:20] = 0.5
    np.save(files / "depth.npy", depth)
    code, out, _ = ask(files, capsys, "--grasp")
    assert code == 0 and "grasps  none" in out
    assert json.loads(ask(files, capsys, "--grasp", "--json")[1])["grasps"] == []


@pytest.mark.parametrize(
    ("arguments", "depth", "clue"),
    [
        (["--opening", "0.1"], True, "--grasp"),
        (["--grasp", "--opening", "-1"], True, "max_opening_m"),
        (["--grasp", "--opening", "nan"], True, "max_opening_m"),
        (["--grasp", "--opening", "0.001"], True, "must leave room"),
        (["--grasp"], False, "--grasp needs depth"),
    ],
)
def test_mistakes_are_said_before_the_model_runs(model, files, capsys, arguments, depth, clue):
    code, out, err = ask(files, capsys, *arguments, depth=depth)
    assert code == 1 and out == "" and clue in err and model.asked == 0
