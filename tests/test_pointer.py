"""The data path with scripted models: prompt, answer, points, targets, streaming, cancelling, refusals."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molmo_point.backend import available_checkpoints
from molmo_point.errors import CancelledError, InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth import DepthStatus
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.pointer import Pointer
from molmo_point.results import Completion, ImagePoint

CAMERA = Intrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)
DEPTH = np.full((480, 640), 0.6, np.float32)
DEPTH[:100, :100] = np.nan
FRAME = RgbdFrame(np.zeros((480, 640, 3), np.uint8), DEPTH, CAMERA, stamp_ns=77)
MUG = ' <point x="50.0" y="50.0" alt="mug">mug</point>'
TWO = ' <points x1="5.0" y1="5.0" x2="50.0" y2="50.0" alt="mugs">mugs</points>'


class Scripted:
    """Writes a given text, character by character."""

    name = "scripted"

    def __init__(self, text: str, finish_reason: str = "stop", probability: float | None = None) -> None:
        self.text, self.finish_reason, self.probability = text, finish_reason, probability
        self.calls: list[dict] = []

    def generate(
        self,
        image: np.ndarray,
        prompt: str,
        *,
        max_new_tokens: int,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        self.calls.append({"image": image, "prompt": prompt, "max_new_tokens": max_new_tokens})
        for end in range(1, len(self.text) + 1):
            if should_stop is not None and should_stop():
                return Completion(self.text[: end - 1], end - 1, "cancelled", {})
            if on_text is not None:
                on_text(self.text[:end])
        known = self.probability is not None
        return Completion(
            self.text,
            len(self.text),
            self.finish_reason,
            {"prefill": 12.0},
            tuple(self.text) if known else (),
            tuple(self.probability if c.isdigit() else 0.1 for c in self.text) if known else (),
        )


def test_a_query_becomes_a_target() -> None:
    backend = Scripted(MUG)
    pointing = Pointer(backend).point(FRAME, "  the red mug ")
    assert backend.calls[0]["prompt"] == "Point to the red mug"
    assert backend.calls[0]["image"] is FRAME.color
    (target,) = pointing.targets
    np.testing.assert_allclose(target.position_m, [0.0, 0.0, 0.6], atol=1e-6)
    assert (pointing.query, pointing.model, pointing.text) == ("the red mug", "scripted", MUG)
    assert (pointing.stamp_ns, target.stamp_ns, pointing.frame) == (77, 77, "camera_color_optical_frame")
    assert not pointing.absent
    assert not pointing.truncated
    assert pointing.problems == ()


def test_points_without_depth_are_told_apart() -> None:
    pointing = Pointer(Scripted(TWO)).point(FRAME, "mugs")
    assert [point.u for point in pointing.points] == [31.5, 319.5]
    assert [target.u for target in pointing.targets] == [319.5]
    assert [(point.u, point.reason) for point in pointing.unreachable] == [(31.5, DepthStatus.MISSING)]


def test_the_preferred_surface_and_the_reference_depth_reach_the_lift() -> None:
    depth = np.full((480, 640), 0.9, np.float32)
    depth[:, 324:330] = 0.6
    frame = RgbdFrame(FRAME.color, depth, CAMERA, stamp_ns=77)
    pointer = Pointer(Scripted(MUG))
    depths = {prefer: pointer.point(frame, "mug", prefer=prefer).targets[0].position_m[2] for prefer in ("near", "far", "centre")}
    assert depths == {"near": pytest.approx(0.6), "far": pytest.approx(0.9), "centre": pytest.approx(0.9)}
    assert pointer.point_many(frame, ["mug"], prefer="far")[0].targets[0].position_m[2] == pytest.approx(0.9)
    for free in (
        pointer.point(frame, "mug", reference_depth_m=0.5),
        pointer.point_many(frame, ["mug"], reference_depth_m=0.5)[0],
    ):
        assert free.targets[0].position_m[2] == 0.5
    for bad in ({"prefer": "middle"}, {"reference_depth_m": 0.0}):
        backend = Scripted(MUG)
        with pytest.raises(InputError):
            Pointer(backend).point(frame, "mug", **bad)
        with pytest.raises(InputError):
            Pointer(backend).point_many(frame, ["mug"], **bad)
        assert backend.calls == []


def test_a_plain_picture_gives_points_and_says_why_no_targets() -> None:
    picture = RgbdFrame(FRAME.color, None, None, 0)
    pointing = Pointer(Scripted(TWO)).point(picture, "mugs")
    assert len(pointing.points) == 2
    assert pointing.targets == ()
    assert [point.reason for point in pointing.unreachable] == [DepthStatus.NO_INPUT] * 2


def test_absence_is_an_answer() -> None:
    pointing = Pointer(Scripted(" There are none.")).point(FRAME, "unicorn")
    assert pointing.absent
    assert (pointing.points, pointing.targets, pointing.unreachable) == ((), (), ())


def test_confidence_is_the_product_of_the_digits() -> None:
    (point,) = Pointer(Scripted(MUG, probability=0.9)).point(FRAME, "mug").points
    assert point.confidence == pytest.approx(0.9**6)
    assert math.isnan(Pointer(Scripted(MUG)).point(FRAME, "mug").points[0].confidence)


def test_confidence_reaches_the_target() -> None:
    assert Pointer(Scripted(MUG, probability=0.9)).point(FRAME, "mug").targets[0].confidence == pytest.approx(0.9**6)


def test_sigma_is_the_models_scaled_to_the_image_or_one_percent() -> None:
    backend = Scripted(MUG)
    assert Pointer(backend).point(FRAME, "mug").points[0].sigma_px == pytest.approx(6.4)
    backend.sigma_px = 2.0
    assert Pointer(backend).point(FRAME, "mug").points[0].sigma_px == pytest.approx(2.0)
    wide = RgbdFrame(np.zeros((720, 1280, 3), np.uint8), None, None, 0)
    assert Pointer(backend).point(wide, "mug").points[0].sigma_px == pytest.approx(4.0)


def test_points_stream_as_they_complete() -> None:
    seen: list[tuple[ImagePoint, ...]] = []
    pointing = Pointer(Scripted(TWO)).point(FRAME, "mugs", on_points=seen.append)
    assert [len(points) for points in seen] == [1, 2]
    assert [point.u for point in seen[-1]] == [point.u for point in pointing.points]


def test_cancelled_between_tokens() -> None:
    asked = 0

    def after_ten() -> bool:
        nonlocal asked
        asked += 1
        return asked > 10

    with pytest.raises(CancelledError, match="after 9 tokens") as caught:
        Pointer(Scripted(MUG)).point(FRAME, "mug", should_stop=after_ten)
    assert caught.value.fix
    with pytest.raises(CancelledError):
        Pointer(Scripted(MUG)).count(FRAME, "mug", should_stop=lambda: True)


def test_cancelled_before_the_model_is_asked() -> None:
    backend = Scripted(MUG)
    with pytest.raises(CancelledError):
        Pointer(backend).point(FRAME, "mug", should_stop=lambda: True)
    assert backend.calls == []


def test_max_points_bounds_points_and_text() -> None:
    backend = Scripted(TWO)
    pointing = Pointer(backend).point(FRAME, "mugs", max_points=1)
    assert [(point.u, point.label) for point in pointing.points] == [(31.5, "mugs")]
    assert "first 1 are kept" in pointing.problems[-1]
    assert pointing.text == TWO[: TWO.index('" alt')], "the model went on after the point that is one too many"
    assert not pointing.truncated
    few = backend.calls[0]["max_new_tokens"]
    Pointer(backend).point(FRAME, "mugs", max_points=10)
    assert backend.calls[1]["max_new_tokens"] - few == 9 * 20
    seen: list[tuple[ImagePoint, ...]] = []
    Pointer(backend).point(FRAME, "mugs", max_points=1, on_points=seen.append)
    assert [len(points) for points in seen] == [1]


@pytest.mark.parametrize("text", [MUG, TWO])
def test_without_labels_the_model_stops_behind_the_coordinates(text: str) -> None:
    whole = Pointer(Scripted(text)).point(FRAME, "mug")
    pointing = Pointer(Scripted(text)).point(FRAME, "mug", labels=False)
    assert "alt=" not in pointing.text
    assert len(pointing.text) <= text.index(" alt") + 4
    assert [(point.u, point.v) for point in pointing.points] == [(point.u, point.v) for point in whole.points]
    assert {point.label for point in pointing.points} == {"mug"}
    assert (pointing.problems, pointing.truncated) == ((), False)


def test_without_labels_the_last_wanted_point_is_the_end() -> None:
    pointing = Pointer(Scripted(TWO)).point(FRAME, "mugs", labels=False, max_points=1)
    assert pointing.text == TWO[: TWO.index('" x2')]
    assert len(pointing.points) == 1


def test_a_time_budget_ends_the_answer_and_says_so() -> None:
    pointing = Pointer(Scripted(TWO)).point(FRAME, "mugs", time_budget_s=1e-9)
    assert pointing.truncated
    assert not pointing.points
    assert any("time budget" in problem for problem in pointing.problems)
    assert not Pointer(Scripted(TWO)).point(FRAME, "mugs", time_budget_s=60).truncated
    for bad in (0, -1, math.nan, "1", True):
        with pytest.raises(InputError, match="time_budget_s"):
            Pointer(Scripted(TWO)).point(FRAME, "mugs", time_budget_s=bad)  # type: ignore[arg-type]


def test_a_count_that_ran_out_of_time_is_not_consistent() -> None:
    assert not Pointer(Scripted(TWO)).count(FRAME, "mugs", time_budget_s=1e-9).consistent


def test_many_queries_give_what_single_ones_give() -> None:
    seen: list[tuple[int, int]] = []
    both = Pointer(Scripted(TWO)).point_many(FRAME, ("mug", "cup"), on_points=lambda i, points: seen.append((i, len(points))))
    assert [pointing.query for pointing in both] == ["mug", "cup"]
    single = Pointer(Scripted(TWO)).point(FRAME, "cup")
    assert both[1].points == single.points
    assert seen == [(0, 1), (0, 2), (1, 1), (1, 2)]
    with pytest.raises(InputError, match="no query"):
        Pointer(Scripted(TWO)).point_many(FRAME, ())


def test_a_batch_goes_on_until_all_of_it_has_enough() -> None:
    class Batched(Scripted):
        def generate_many(
            self, image: np.ndarray, prompts: tuple[str, ...], *, max_new_tokens: int, should_stop: Any, on_text: Any
        ):
            for end in range(1, len(TWO) + 1):
                if should_stop():
                    return tuple(Completion(TWO[: end - 1], end - 1, "cancelled") for _ in prompts)
                on_text(0, MUG[:end])
                on_text(1, TWO[:end])
            return tuple(Completion(text, len(text), "stop") for text in (MUG, TWO))

    two = Pointer(Batched("")).point_many(FRAME, ("a", "b"), labels=False)[1]
    assert len(two.points) == 2
    assert "alt" not in two.text.removesuffix(" alt")


def test_a_backend_that_cannot_tell_the_spread_says_so() -> None:
    with pytest.raises(InputError, match="spread"):
        Pointer(Scripted(MUG)).point(FRAME, "mug", spread=True)


@pytest.mark.parametrize(("text", "reason"), [(MUG[:-3], "stop"), (MUG, "length")])
def test_truncation_is_reported(text: str, reason: str) -> None:
    pointing = Pointer(Scripted(text, reason)).point(FRAME, "mug")
    assert pointing.truncated
    assert len(pointing.points) == 1


def test_timing_has_the_models_and_our_stages() -> None:
    timing = Pointer(Scripted(MUG)).point(FRAME, "mug").timing_ms
    assert set(timing) == {"prefill", "generate", "parse", "lift", "total"}
    assert timing["total"] == pytest.approx(timing["generate"] + timing["parse"] + timing["lift"], abs=0.01)


def test_everything_prints_as_json() -> None:
    printed = json.loads(json.dumps(Pointer(Scripted(TWO)).point(FRAME, "mugs").to_dict(), allow_nan=False))
    assert printed["points"][0]["confidence"] is None
    assert printed["unreachable"][0]["reason"] == "MISSING"
    assert len(printed["targets"][0]["covariance_m2"]) == 9


COUNTED = ' Counting the <points x1="1" y1="2" x2="3" y2="4" alt="a">a</points> shows a total of '


@pytest.mark.parametrize(
    ("text", "finish_reason", "count", "stated", "consistent"),
    [
        (COUNTED + "2.", "stop", 2, 2, True),
        (COUNTED + "3.", "stop", 2, 3, False),
        (COUNTED[:-20], "stop", 2, None, False),
        (COUNTED + "2.", "length", 2, 2, False),
        (TWO, "stop", 2, None, True),
        (" There are none.", "stop", 0, 0, True),
        (" Counting the mugs shows a total of 5.", "stop", 5, 5, False),
        (" I cannot tell.", "stop", 0, None, False),
        ("", "stop", 0, None, False),
    ],
)
def test_count(text: str, finish_reason: str, count: int, stated: int | None, consistent: bool) -> None:
    backend = Scripted(text, finish_reason)
    result = Pointer(backend).count(FRAME, "screws")
    assert backend.calls[0]["prompt"] == "How many screws are there?"
    assert (result.count, result.stated_count, result.consistent) == (count, stated, consistent)
    assert result.text == text


def test_a_free_question_is_asked_as_it_is() -> None:
    backend, told = Scripted(" A mug."), []
    answer = Pointer(backend).ask(FRAME, "  What is this?\nA: mug\nB: cup\n", max_new_tokens=9, on_text=told.append)
    assert backend.calls[0] == {"image": FRAME.color, "prompt": "What is this?\nA: mug\nB: cup", "max_new_tokens": 9}
    assert (answer.text, answer.finish_reason, told[-1]) == (" A mug.", "stop", " A mug.")
    Pointer(backend).ask(FRAME, "What colour?", style="eval_short_answer")
    assert backend.calls[1]["prompt"] == "vqa2: What colour?"


def test_a_caption_is_asked_for() -> None:
    backend = Scripted(" A table.")
    assert Pointer(backend).caption(FRAME).text == " A table."
    assert backend.calls[0] == {"image": FRAME.color, "prompt": "Describe this image.", "max_new_tokens": 512}


def test_answers_can_be_cancelled() -> None:
    asked = iter([False, False, False, True])
    with pytest.raises(CancelledError, match="after 2 tokens"):
        Pointer(Scripted(" A table.")).caption(FRAME, should_stop=lambda: next(asked))
    with pytest.raises(CancelledError):
        Pointer(Scripted(" A table.")).ask(FRAME, "What?", should_stop=lambda: True)


@pytest.mark.parametrize(
    ("options", "part"),
    [({"question": " "}, "empty"), ({"question": "x" * 4001}, "4001"), ({"question": "a\x00"}, "control"),
     ({"style": "haiku"}, "style"), ({"max_new_tokens": 0}, "max_new_tokens"), ({"max_new_tokens": True}, "max_new_tokens")],
)  # fmt: skip
def test_questions_that_are_refused(options: dict[str, Any], part: str) -> None:
    backend = Scripted(MUG)
    with pytest.raises(InputError, match=part) as caught:
        Pointer(backend).ask(FRAME, **({"question": "What?"} | options))
    assert caught.value.fix
    assert backend.calls == []


def test_a_backend_says_how_its_answers_are_read() -> None:
    backend = Scripted('<points coords="1 1 500 250 2 250 500">mugs</points>')
    assert Pointer(backend).point(FRAME, "mugs").points == ()
    backend.family = "molmo2"
    seen: list[int] = []
    pointing = Pointer(backend).point(FRAME, "mugs", on_points=lambda points: seen.append(len(points)))
    assert [(point.u, point.v) for point in pointing.points] == [(319.5, 119.5), (159.5, 239.5)]
    assert seen == [1, 2]
    assert Pointer(backend).count(FRAME, "mugs").count == 2


@pytest.mark.parametrize(
    ("query", "part"),
    [("", "empty"), ("  ", "empty"), (None, "empty"), ("x" * 1001, "1001"), ("a\nb", "control"), ("a\x00b", "control")],
)
def test_queries_that_are_refused(query: str, part: str) -> None:
    backend = Scripted(MUG)
    for ask in (Pointer(backend).point, Pointer(backend).count):
        with pytest.raises(InputError, match=part) as caught:
            ask(FRAME, query)
        assert caught.value.given
        assert caught.value.fix
    assert backend.calls == []


def test_longest_query_and_other_scripts_are_accepted() -> None:
    Pointer(Scripted(MUG)).point(FRAME, "x" * 1000)
    Pointer(Scripted(MUG)).point(FRAME, "die rote Tasse, 红色的杯子 🍵")


@pytest.mark.parametrize("max_points", [0, -1, 2.5, True])
def test_max_points_that_are_refused(max_points: object) -> None:
    with pytest.raises(InputError, match="max_points"):
        Pointer(Scripted(MUG)).point(FRAME, "mug", max_points=max_points)


@pytest.mark.parametrize("name", ["tablecloth", "no/such/folder", "./nothing", Path("nothing/here")])
def test_unknown_checkpoints_list_what_there_is(name: str | Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint") as caught:
        Pointer.from_pretrained(name)
    assert "Hugging Face id" in caught.value.fix
    assert all(checkpoint in caught.value.fix for checkpoint in available_checkpoints())
    assert isinstance(caught.value, MolmoPointError)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What `molmo_point.model.load_backend` was asked for, instead of loading it."""
    import types

    calls: list[tuple] = []
    module = types.ModuleType("molmo_point.model")
    module.load_backend = lambda source, **options: calls.append((source, *options.values())) or Scripted(MUG)
    monkeypatch.setitem(sys.modules, "molmo_point.model", module)
    return calls


def test_folders_and_hub_ids_reach_the_loader(loads: list[tuple], tmp_path: Path) -> None:
    pointer = Pointer.from_pretrained(tmp_path, device="cuda:1", quantization="nf4", dtype="float16", max_crops=6, adapter="mine")
    assert isinstance(pointer.backend, Scripted)
    Pointer.from_pretrained("allenai/Molmo-7B-D-0924")
    assert loads == [(tmp_path, "cuda:1", "nf4", "float16", 6, "mine"), ("allenai/Molmo-7B-D-0924", *[None] * 5)]


def test_embedded_names_become_their_folder(loads: list[tuple], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tabletop").mkdir()
    (tmp_path / "tabletop" / "config.json").write_text("{}")
    monkeypatch.setattr("molmo_point.backend._CHECKPOINTS", tmp_path)
    assert available_checkpoints() == ("tabletop",)
    Pointer.from_pretrained()
    assert loads[0][0] == tmp_path / "tabletop"


def test_everything_after_the_model_works_without_torch() -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import numpy as np\n"
        "from molmo_point import Completion, Pointer, RgbdFrame\n"
        "class Model:\n"
        "    name = 'one answer'\n"
        "    def generate(self, image, prompt, **options):\n"
        '        return Completion(\'<point x="50" y="50" alt="a">a</point>\', 9, \'stop\')\n'
        "frame = RgbdFrame(np.zeros((48, 64, 3), np.uint8), None, None, 0)\n"
        "assert len(Pointer(Model()).point(frame, 'a').points) == 1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
