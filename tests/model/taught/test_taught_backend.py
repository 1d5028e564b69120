"""Taught objects as a model: points, counts, absence, doubts, and the model below for all other words."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from molmo_point.backend import Backend, Limits, Prompt, WholeAnswerBackend
from molmo_point.cautions import CautionKind
from molmo_point.errors import InputError, NotTrainedError
from molmo_point.model.taught import taught_backend
from molmo_point.model.taught.layered_backend import LayeredBackend
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.library_file import write_library
from molmo_point.model.taught.places import Place, Places
from molmo_point.model.taught.seen_image import SeenImage
from molmo_point.model.taught.taught_backend import TaughtBackend
from molmo_point.patch_features import PatchFeatures
from molmo_point.pointer import Pointer
from molmo_point.request import Kind
from molmo_point.results import Completion
from molmo_point.trust.trained_words import TrainedWords
from molmo_point.trust.training_description import TrainingDescription
from tests.model.taught.scenes import BLUE, GREEN, RED, SIZE_WH, draw

IMAGE, MASKS = draw({"other": BLUE, "my mug": RED, "spare mug": GREEN}, 50)
ABSENT = Places((Place(9.0, 9.0, 0.1, 5.0),), 0.9, True, 0)
SEEN = SeenImage((PatchFeatures(np.zeros((2, 2, 3), np.float32), 160.0, (-0.5, -0.5)),), SIZE_WH)
MY_PLACE, SPARE_PLACE = Place(100.0, 60.0, 0.9, 4.0), Place(200.0, 120.0, 0.95, 6.0)


class Below(WholeAnswerBackend):
    """A model that points at the middle of every image, and notes what it was asked."""

    name = "below"
    training = TrainingDescription(TrainedWords({"shapes": ("cube", "ball")}))

    def __init__(self) -> None:
        self.asked: list[Prompt] = []

    def answer(self, image: np.ndarray, prompt: Prompt, limits: Limits) -> Completion:
        self.asked.append(prompt)
        text = ' <point x="50.0" y="50.0" alt="cube">cube</point>' if prompt.kind is Kind.POINT else " A table."
        return Completion(text, 9, "stop")


Found = dict[str, Places]


@pytest.fixture
def pointer(mugs: Library, monkeypatch: pytest.MonkeyPatch) -> Callable[[Found], Pointer]:
    def make(found: Found, below: Backend | None = None) -> Pointer:
        monkeypatch.setattr(taught_backend, "find_places", lambda seen, heads, name: found[name])
        monkeypatch.setattr(taught_backend, "see_image", lambda image, network: SEEN)
        taught = TaughtBackend(mugs)
        return Pointer(taught if below is None else LayeredBackend(taught, below))

    return make


def one(*places: Place, absent: float = 0.01) -> Places:
    return Places((*places, Place(300.0, 230.0, 0.2, 9.0)), absent, False, len(places))


def test_objects_are_found_in_scenes_that_were_not_shown(mugs: Library) -> None:
    pointer = Pointer(TaughtBackend(mugs))
    for name in mugs.names:
        answer = pointer.point(IMAGE, f"point to {name}", max_points=1, labels=False)
        best = answer.best
        assert answer.trusted and best is not None and best.point.label == name and best.point.confidence > 0.5
        assert MASKS[name][round(best.point.v), round(best.point.u)]


def test_probabilities_and_errors_are_those_of_the_places(pointer) -> None:
    answer = pointer({"my mug": one(MY_PLACE, Place(40.0, 200.0, 0.6, 8.0))}).point(IMAGE, "my mugs")
    assert answer.text == ' <points x1="31.4" y1="25.2" x2="12.7" y2="83.5" alt="my mug">my mug</points>'
    assert [(round(p.confidence, 6), p.sigma_px, p.label) for p in answer.points] == [(0.9, 4.0, "my mug"), (0.6, 8.0, "my mug")]
    assert [abs(p.u - u) < 0.2 for p, u in zip(answer.points, (100.0, 40.0), strict=True)] == [True, True]
    assert answer.trusted and answer.model == "taught" and not answer.absent and answer.absent_probability == pytest.approx(0.01)


def test_a_category_answers_with_all_of_its_objects_the_likeliest_first(pointer) -> None:
    both = {"my mug": one(MY_PLACE, absent=0.2), "spare mug": one(SPARE_PLACE, absent=0.1)}
    answer = pointer(both).point(IMAGE, "a mug")
    assert [(p.label, round(p.confidence, 6)) for p in answer.points] == [("spare mug", 0.95), ("my mug", 0.9)]
    assert answer.trusted and answer.absent_probability == pytest.approx(0.02)
    assert pointer(both).point(IMAGE, "a mug", max_points=1).points[0].label == "spare mug"


def test_a_count_states_its_number_and_its_probability(pointer) -> None:
    count = pointer({"my mug": one(MY_PLACE), "spare mug": one(SPARE_PLACE)}).count(IMAGE, "how many mugs are there?")
    assert (count.count, count.stated_count, count.consistent, count.trusted) == (2, 2, True, True)
    assert count.confidence == pytest.approx(0.9 * 0.95 * 0.8 * 0.8, abs=1e-4)
    none = pointer({"my mug": ABSENT}).count(IMAGE, "my mug")
    assert (none.count, none.text, none.consistent) == (0, " There are none.", True)


def test_absence_is_said_with_its_probability(pointer) -> None:
    answer = pointer({"my mug": ABSENT}).point(IMAGE, "my mug")
    assert answer.absent and answer.trusted and not answer.found and answer.absent_probability == pytest.approx(0.9)


def test_a_place_that_another_object_explains_is_doubted(pointer) -> None:
    doubtful = Place(100.0, 60.0, 0.55, 4.0, "spare mug", 0.42)
    answer = pointer({"my mug": one(doubtful)}).point(IMAGE, "my mug")
    (caution,) = answer.cautions
    assert caution.kind is CautionKind.CONFUSABLE and caution.words == ("spare mug",) and "side by side" in caution.message
    assert not answer.trusted and answer.points[0].confidence == pytest.approx(0.55)
    both = {"my mug": one(doubtful), "spare mug": one(SPARE_PLACE)}
    assert pointer(both).point(IMAGE, "mugs").trusted, "either of them was meant"


def test_an_image_that_is_unlike_the_taught_ones_is_doubted(pointer) -> None:
    strange = replace(one(Place(100.0, 60.0, 0.55, 4.0, "spare mug", 0.42)), familiarity=0.002)
    answer = pointer({"my mug": strange}).point(IMAGE, "my mug")
    assert [each.kind for each in answer.cautions] == [CautionKind.UNFAMILIAR_IMAGE, CautionKind.CONFUSABLE]
    assert math.isnan(answer.points[0].confidence) and math.isnan(answer.absent_probability)


def test_the_spread_has_the_places_that_were_left_out(pointer) -> None:
    (point,) = pointer({"my mug": one(MY_PLACE)}).point(IMAGE, "my mug", spread=True).points
    assert [round(mode.weight, 3) for mode in point.modes] == [0.818, 0.182]
    assert (point.modes[1].u, point.modes[1].v) == (300.0, 230.0) and point.modes[0].covariance_px2[0, 0] == 16.0


def test_words_that_were_not_taught_are_answered_as_untrusted(pointer) -> None:
    answer = pointer({}).point(IMAGE, "my mgu")
    (caution,) = answer.cautions
    assert answer.absent and math.isnan(answer.absent_probability) and caution.kind is CautionKind.UNKNOWN_WORDS
    assert caution.suggestion == "my mug" and "taught objects are 'my mug', 'spare mug'" in caution.message


def test_a_dark_image_is_doubted(pointer) -> None:
    answer = pointer({"my mug": one(MY_PLACE)}).point(np.zeros_like(IMAGE), "my mug")
    assert [caution.kind for caution in answer.cautions] == [CautionKind.POOR_IMAGE]
    assert math.isnan(answer.points[0].confidence)


def test_other_words_go_to_the_model_below(pointer) -> None:
    below = Below()
    layered = pointer({"my mug": one(MY_PLACE)}, below)
    cube = layered.point(IMAGE, "Could you show me my cube?")
    assert (cube.model, cube.points[0].label, below.asked[-1].words) == ("below", "cube", "cube")
    assert [caution.kind for caution in cube.cautions] == [CautionKind.UNCALIBRATED]
    mug = layered.point(IMAGE, "show me my mug")
    assert (mug.model, len(below.asked)) == ("taught", 1)
    assert [each.model for each in layered.point_many(IMAGE, ["ball", "my mug", "cube"])] == ["below", "taught", "below"]
    assert layered.caption(IMAGE).text == " A table." and layered.ask(IMAGE, "What is my mug on?").text == " A table."


def test_words_that_neither_knows_are_told_what_is_taught(pointer) -> None:
    caution = pointer({}, Below()).point(IMAGE, "mug from my mother").cautions[0]
    assert caution.kind is CautionKind.UNKNOWN_WORDS and "taught objects are 'my mug', 'spare mug'" in caution.message
    caution = pointer({}, Below()).point(IMAGE, "your mug").cautions[0]
    assert caution.suggestion == "my mug"


def test_a_model_of_taught_objects_alone_answers_no_questions(pointer) -> None:
    with pytest.raises(NotTrainedError):
        pointer({}).ask(IMAGE, "What is this?")


def test_layers_answer_prompts_of_one_call(mugs: Library) -> None:
    layered = LayeredBackend(TaughtBackend(mugs), Below())
    prompts = [Prompt("", Kind.POINT, "ball"), Prompt("", Kind.POINT, "mug", "my mug"), Prompt("Why?", Kind.ASK)]
    texts = {growth.prompt: growth.text for growth in layered.answers(IMAGE, prompts, Limits(99))}
    assert "cube" in texts[0] and 'alt="my mug"' in texts[1] and texts[2] == " A table."


def test_a_library_is_replaced_while_the_model_runs(mugs: Library) -> None:
    layered = LayeredBackend(TaughtBackend(mugs), Below())
    pointer, before = Pointer(layered), layered.for_words("my mug")
    assert pointer.point(IMAGE, "my mug").model == "taught"
    layered.take(mugs.renamed("my mug", "tea cup"))
    assert pointer.point(IMAGE, "my mug").model == "below" and pointer.point(IMAGE, "tea cup").model == "taught"
    assert before.complete(IMAGE, Prompt("", Kind.POINT, "my mug"), Limits(99)).text.startswith(" <point")


def test_an_image_is_seen_once_for_several_questions(mugs: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, see = [], taught_backend.see_image
    monkeypatch.setattr(taught_backend, "see_image", lambda *args: seen.append(1) or see(*args))
    pointer = Pointer(TaughtBackend(mugs))
    pointer.point_many(IMAGE, ["my mug", "spare mug", "mugs"], spread=True)
    pointer.point(IMAGE.copy(), "my mug")
    assert len(seen) == 1
    changed = IMAGE.copy()
    changed[0, 0] += 1
    pointer.point(changed, "my mug")
    assert len(seen) == 2


def test_a_place_to_look_at_is_looked_at(mugs: Library) -> None:
    v, u = (float(each.mean()) for each in np.nonzero(MASKS["my mug"]))
    answer = Pointer(TaughtBackend(mugs)).point(IMAGE, "my mug", near=(u, v), max_points=1)
    assert answer.region is not None and MASKS["my mug"][round(answer.points[0].v), round(answer.points[0].u)]


@pytest.mark.parametrize("model", ["none", "tabletop"])
def test_libraries_are_loaded_with_a_model(model: str, mugs: Library, tmp_path) -> None:
    path = tmp_path / "anna.taught"
    write_library(path, mugs)
    pointer = Pointer.from_pretrained(model, taught=path)
    assert pointer.point(IMAGE, "spare mug").model == "taught:anna"
    assert pointer.point(IMAGE, "red cube").model == ("taught:anna" if model == "none" else "tabletop")


@pytest.mark.parametrize("taught", ["missing.taught", [], ["missing.taught"]])
def test_a_missing_library_is_refused_before_a_model_is_loaded(taught: str | Sequence[str]) -> None:
    with pytest.raises(InputError):
        Pointer.from_pretrained("no/model", taught=taught)
