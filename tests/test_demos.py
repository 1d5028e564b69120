"""Demos are short, say what is seen, and stand in the documents; what they decide by themselves is right."""

import ast
import importlib.util
import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from molmo_point.errors import MolmoPointError

ROOT = Path(__file__).resolve().parent.parent
DEMOS = sorted((ROOT / "demos").glob("*.py"))


def load(name):
    """A demo as a module, without running it."""
    (path,) = (ROOT / "demos").glob(f"{name}*.py")
    spec = importlib.util.spec_from_file_location(f"demo_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_they_are_numbered_from_one():
    assert [int(path.name[:2]) for path in DEMOS] == list(range(1, len(DEMOS) + 1))


@pytest.mark.parametrize("path", DEMOS, ids=lambda path: path.name)
def test_a_demo_is_short_and_says_how_it_is_run(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    said = ast.get_docstring(ast.parse(text)) or ""
    assert f"ros2_ws/run python demos/{path.name}" in said and len(said.split()) > 40
    assert f"demos/{path.name}" in (ROOT / "docs" / "demos.md").read_text(encoding="utf-8")


def test_make_demo_runs_one_of_them():
    (name,) = re.findall(r"^demo:.*\n\t@\$\(RUN\) python (demos/\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert (ROOT / name).is_file()


def test_a_count_of_a_video_is_told_when_several_frames_agree():
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    changes = load("08").changes
    sure = [0.6, 0.7, 0.9, 0.2, 0.5, 0.5, 0.5, 0.8, None, 0.8, 0.8]
    counts = zip([3, 3, 3, 4, 3, 3, 3, 2, 2, 2, 2], sure, strict=True)
    rows = [{"time_s": n / 10, "count": count, "confidence": confidence} for n, (count, confidence) in enumerate(counts)]
    assert changes(rows, 3) == [(0.0, 3, 0.7), (0.7, 2, None)], "unknown confidence stays unknown"
    assert changes(rows, 1) == [(0.0, 3, 0.6), (0.3, 4, 0.2), (0.4, 3, 0.5), (0.7, 2, 0.8)]
    assert changes(rows[:2], 3) == []


def tray_result(**fields) -> SimpleNamespace:
    """A count of three images that agree, with other fields as given."""
    values = {"count": 3, "count_min": 3, "count_max": 3, "counts": [3, 3, 3], "agreement": 1.0, "points_agree": True}
    cautions = fields.pop("cautions", 0)
    return SimpleNamespace(**values | {"confidence": 0.62, "points": SimpleNamespace(cautions=cautions)} | fields)


@pytest.mark.parametrize(
    ("fields", "believed"),
    [({}, True), ({"cautions": 4}, False), ({"confidence": 0.3}, False), ({"confidence": math.nan}, False),
     ({"agreement": 0.5}, False), ({"points_agree": False}, False)],
)  # fmt: skip
def test_the_count_of_a_tray_is_believed_only_without_doubts(fields, believed):
    assert load("04").is_believed(tray_result(**fields)) is believed


def test_categories_become_sentences():
    sentence = load("03").sentence
    assert sentence("aside=the cube and the brick") == "put the cube and the brick aside"
    assert sentence("hand_over=all the balls") == "give me all the balls"
    for wrong in ("elsewhere=the cube", "aside", "aside="):
        with pytest.raises(MolmoPointError):
            sentence(wrong)
