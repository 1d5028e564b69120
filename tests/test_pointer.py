"""The data path with scripted models: prompt, answer, points, targets, refusals, and where models come from."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from molmo_point.backend import available_checkpoints
from molmo_point.cautions import CautionKind
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point.results import DepthStatus
from molmo_point.trust.confidence_calibration import Calibration, line

from .scripted_backend import CAMERA, FRAME, MUG, TWO, Scripted


def test_a_query_becomes_a_target() -> None:
    backend = Scripted(MUG)
    pointing = Pointer(backend).point(FRAME, "  the red mug ")
    assert backend.calls[0]["prompt"] == "Point to red mug"
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


def test_doubted_depth_makes_an_answer_untrusted() -> None:
    doubted = replace(FRAME, depth_doubt="it is shifted")
    pointer = Pointer(Scripted(MUG))
    (pointing,) = pointer.point_many(doubted, ["the mug"])
    assert [caution.kind for caution in pointing.cautions][-1] is CautionKind.MISALIGNED_DEPTH and not pointing.trusted
    assert pointing.targets and "it is shifted" in pointing.cautions[-1].message
    near = pointer.point(doubted, "the mug", near=(3.0, 3.0))
    assert any(caution.kind is CautionKind.MISALIGNED_DEPTH for caution in near.cautions)
    without = pointer.point(replace(doubted, depth_m=None), "the mug")
    assert all(caution.kind is not CautionKind.MISALIGNED_DEPTH for caution in without.cautions)


def test_the_preferred_surface_and_the_reference_depth_reach_the_lift() -> None:
    depth = np.full((480, 640), 0.9, np.float32)
    depth[:, 324:330] = 0.6
    frame = RgbdFrame(FRAME.color, depth, CAMERA, stamp_ns=77)
    pointer = Pointer(Scripted(MUG))
    depths = {prefer: pointer.point(frame, "mug", prefer=prefer).targets[0].position_m[2] for prefer in ("near", "far", "center")}
    assert depths == {"near": pytest.approx(0.6), "far": pytest.approx(0.9), "center": pytest.approx(0.9)}
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


def test_the_digit_probability_is_the_product_of_the_digits() -> None:
    (point,) = Pointer(Scripted(MUG, probability=0.9)).point(FRAME, "mug").points
    assert point.digit_probability == pytest.approx(0.9**6)
    assert math.isnan(Pointer(Scripted(MUG)).point(FRAME, "mug").points[0].digit_probability)


def test_confidence_reaches_the_target() -> None:
    backend = Scripted(MUG, probability=0.9)
    backend.calibration = Calibration(line("digit", 1.0, 1.0), line("absent", 1.0, 0.0))
    (found,) = Pointer(backend).point(FRAME, "mug")
    assert found.target is not None and found.target.confidence == found.point.confidence > found.point.digit_probability


def test_sigma_is_the_models_scaled_to_the_image_or_one_percent() -> None:
    backend = Scripted(MUG)
    assert Pointer(backend).point(FRAME, "mug").points[0].sigma_px == pytest.approx(6.4)
    backend.sigma_px = 2.0
    assert Pointer(backend).point(FRAME, "mug").points[0].sigma_px == pytest.approx(2.0)
    wide = RgbdFrame(np.zeros((720, 1280, 3), np.uint8), None, None, 0)
    assert Pointer(backend).point(wide, "mug").points[0].sigma_px == pytest.approx(4.0)


def test_many_queries_give_what_single_ones_give() -> None:
    seen: list[tuple[int, int]] = []
    both = Pointer(Scripted(TWO)).point_many(FRAME, ("mug", "cup"), on_points=lambda i, points: seen.append((i, len(points))))
    assert [pointing.query for pointing in both] == ["mug", "cup"]
    single = Pointer(Scripted(TWO)).point(FRAME, "cup")
    assert both[1].points == single.points
    assert seen == [(0, 1), (0, 2), (1, 1), (1, 2)]
    with pytest.raises(InputError, match="queries"):
        Pointer(Scripted(TWO)).point_many(FRAME, ())


def test_a_backend_that_cannot_tell_the_spread_says_so() -> None:
    with pytest.raises(InputError, match="spread"):
        Pointer(Scripted(MUG)).point(FRAME, "mug", spread=True)


def test_timing_has_the_models_and_our_stages() -> None:
    timing = Pointer(Scripted(MUG)).point(FRAME, "mug").timing_ms
    assert set(timing) == {"prefill", "generate", "parse", "lift", "total"}
    assert timing["total"] == pytest.approx(timing["generate"] + timing["parse"] + timing["lift"], abs=0.01)


def test_everything_prints_as_json() -> None:
    printed = json.loads(json.dumps(Pointer(Scripted(TWO)).point(FRAME, "mugs").to_dict(), allow_nan=False))
    assert printed["points"][0]["confidence"] is None
    assert printed["unreachable"][0]["reason"] == "MISSING"
    assert len(printed["targets"][0]["covariance_m2"]) == 9


class Molmo2Scripted(Scripted):
    dialect = "molmo2"


def test_a_backend_says_how_its_answers_are_read() -> None:
    backend = Scripted('<points coords="1 1 500 250 2 250 500">mugs</points>')
    assert Pointer(backend).point(FRAME, "mugs").points == ()
    backend = Molmo2Scripted(backend.text)
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
    with pytest.raises(InputError, match="embedded checkpoint") as caught:
        Pointer.from_pretrained(name)
    assert "Hugging Face id" in caught.value.what
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
        "from molmo_point.backend import WholeAnswerBackend\n"
        "class Model(WholeAnswerBackend):\n"
        "    name = 'one answer'\n"
        "    def answer(self, image, prompt, limits):\n"
        '        return Completion(\'<point x="50" y="50" alt="a">a</point>\', 9, \'stop\')\n'
        "frame = RgbdFrame(np.zeros((48, 64, 3), np.uint8), None, None, 0)\n"
        "assert len(Pointer(Model()).point(frame, 'a').points) == 1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
