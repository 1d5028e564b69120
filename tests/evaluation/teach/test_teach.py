"""The evaluation of taught objects: its scenes, its figures, and photographs of one's own objects."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("mujoco")
pytest.importorskip("torch")
pytest.importorskip("cv2")

from molmo_point.cli import main
from molmo_point.errors import InputError
from molmo_point.evaluation.teach.own_photographs import evaluate_photographs, own_photographs
from molmo_point.evaluation.teach.taught_answers import Asked, TaughtAnswer
from molmo_point.evaluation.teach.teach_table import auroc, summarize_teaching, teaching_tables
from molmo_point.evaluation.teach.toy_evaluation import TeachRun
from molmo_point.evaluation.teach.toy_scenes import MIN_PIXELS, asked_table, shown_toy, twin
from molmo_point.sim.toys.toy import Toy, ToyVariant

TOYS = (Toy(40), Toy(41))


def answer(asked: Asked, right: bool, absent: float, found: bool = True, cautions: tuple[str, ...] = ()) -> TaughtAnswer:
    confidence = 1 - absent if found else math.nan
    uv = (3.0, 4.0) if found else None
    return TaughtAnswer(asked, "mug", 0, "apart", found, right and found, right, confidence, absent, cautions, 9.0, uv)


RUN = TeachRun(
    answers=[
        answer(Asked.PRESENT, True, 0.1),
        answer(Asked.PRESENT, True, 0.2),
        answer(Asked.PRESENT, False, 0.3),
        answer(Asked.PRESENT, True, 0.9, found=False),
        answer(Asked.ABSENT, False, 0.8, found=False),
        answer(Asked.ABSENT, False, 0.25),
        answer(Asked.BOTH, True, 0.1),
        answer(Asked.TWIN, False, 0.4, cautions=("CONFUSABLE",)),
    ],
    teach_s=[1.0, 3.0, 2.0],
    refused=1,
    offered=4,
    untaught=["fenapus"],
    question_ms={1: [10.0], 50: [20.0, 40.0]},
)


def test_figures_are_those_of_the_answers() -> None:
    figures = summarize_teaching(RUN)
    shares = {
        name: (value["share"], value["trials"]) for name, value in figures.items() if isinstance(value, dict) and "share" in value
    }
    assert shares["likeliest place right"] == (0.75, 4)
    assert shares["likeliest place right, surest half"] == (1.0, 2)
    assert shares["found and right, by the library's decision"] == (0.5, 4)
    assert shares["false alarms, stated 5 %"] == (0.5, 2)
    # The level that keeps absent objects out is a little above 0.25: two present ones are below it.
    assert shares["found and right at 5 % false alarms"] == (0.5, 4)
    assert shares["twins: points at the twin alone"] == (1.0, 1)
    assert shares["twins: of those, with a caution"] == (1.0, 1)
    assert shares["wrong point without caution and above 0.5"] == (2 / 8, 8)
    assert shares["views refused"] == (0.25, 4)
    assert figures["teaching s, median"] == 2.0
    assert figures["question ms, median"] == {"1": 10.0, "50": 30.0}
    table = teaching_tables(figures)
    assert "| likeliest place right | 75.0 % |" in table and "fenapus" in table


def test_figures_of_nothing_are_no_numbers() -> None:
    figures = summarize_teaching(TeachRun())
    assert math.isnan(figures["likeliest place right"]["share"])
    assert "likeliest place right" not in teaching_tables(figures).split("\n")[2]


def test_ranking_of_present_and_absent() -> None:
    assert auroc([2.0, 3.0], [1.0, 2.0]) == 0.875
    assert math.isnan(auroc([], [1.0]))


def test_a_shown_toy_is_alone_and_seen_from_elsewhere_in_each_view() -> None:
    first, second = (shown_toy(TOYS[0], 30, view) for view in (0, 1))
    for scene in (first, second):
        assert np.count_nonzero(scene.mask_of(TOYS[0])) > MIN_PIXELS
        assert len(scene.objects) == 1
    assert np.count_nonzero(first.mask_of(TOYS[0]) != second.mask_of(TOYS[0])) > 50
    again = shown_toy(TOYS[0], 30, 0)
    assert np.array_equal(again.frame.color, first.frame.color)


def test_a_table_has_its_toys_and_strangers_and_comes_again() -> None:
    scene = asked_table(TOYS, 30, 4)
    assert len(scene.objects) > len(TOYS)
    assert all(scene.mask_of(toy).any() for toy in TOYS)
    assert not scene.mask_of(Toy(42)).any()
    assert scene.surface != "plain" and scene.kind == "apart"
    assert np.array_equal(asked_table(TOYS, 30, 4).frame.color, scene.frame.color)


def test_twins_differ_from_their_toy_in_one_way_by_turns() -> None:
    assert [twin(TOYS[0], k).variant for k in range(3)] == list(ToyVariant)[1:]
    assert twin(TOYS[0], 0) == replace(TOYS[0], variant=ToyVariant.OTHER_COLORS)


def photographs(folder: Path, names: tuple[str, ...] = ("disc", "bar"), count: int = 3) -> Path:
    """Draw photographs of a red disc and a blue bar on a gray table, elsewhere in each."""
    rng = np.random.default_rng(3)
    for name in names:
        room = folder / name
        room.mkdir(parents=True)
        for k in range(count):
            page = Image.fromarray((150 + rng.normal(0, 3, (240, 320, 3))).clip(0, 255).astype(np.uint8))
            u, v = rng.uniform(100, 220), rng.uniform(80, 160)
            pen = ImageDraw.Draw(page)
            if name == "disc":
                pen.ellipse((u - 40, v - 40, u + 40, v + 40), fill=(200, 30, 30))
                pen.ellipse((u - 14, v - 14, u + 14, v + 14), fill=(240, 220, 40))
            else:
                pen.rectangle((u - 60, v - 22, u + 60, v + 22), fill=(30, 60, 190))
                pen.ellipse((u - 50, v - 12, u - 26, v + 12), fill=(90, 140, 230))
            page.save(room / f"{k}.png")
    return folder


@pytest.mark.slow
def test_own_photographs_are_left_out_by_turns(tmp_path: Path) -> None:
    found, left_out = own_photographs(photographs(tmp_path))
    assert [each.name for each in found] == ["bar"] * 3 + ["disc"] * 3 and left_out == []
    run = evaluate_photographs(found, lambda items, total, unit: iter(items))
    assert [a.asked for a in run.answers].count(Asked.PRESENT) == 6
    assert [a.asked for a in run.answers].count(Asked.ABSENT) == 6
    assert sum(a.likeliest_right for a in run.answers if a.asked is Asked.PRESENT) >= 5


def test_a_folder_without_two_objects_is_refused(tmp_path: Path) -> None:
    photographs(tmp_path / "one", names=("disc",))
    with pytest.raises(InputError, match="two objects or more"):
        own_photographs(tmp_path / "one")
    photographs(tmp_path / "single", count=1)
    with pytest.raises(InputError, match="two objects or more"):
        own_photographs(tmp_path / "single")
    assert main(["eval", "teach", "--folder", str(tmp_path / "nowhere")]) == 1
    assert main(["eval", "teach", "--folder", str(tmp_path / "one"), "--objects", "3"]) == 1
    assert main(["eval", "teach", "--objects", "1"]) == 1


@pytest.mark.slow
def test_the_command_writes_figures_and_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    sizes = ["--objects", "3", "--views", "2", "--tables", "4", "--seed", "20"]
    assert main(["eval", "teach", *sizes, "--json", "--sheet", str(sheet)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["benchmark"] == "teach" and figures["seed"] == 20 and figures["objects"] == 3
    assert figures["likeliest place right"]["trials"] >= 4
    assert figures["views refused"]["trials"] >= 6
    assert len(figures["answers"]) >= 8
    assert Image.open(sheet).size[0] == 1600
