"""A tuned model tells its own words and kinds of questions, and inherits no measurement of its base."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from molmo_point.backend import Backend
from molmo_point.cautions import CautionKind
from molmo_point.finetuning.labels.formats import Answered, Caption, Explanation, PointLabels
from molmo_point.finetuning.taught import LABEL_GROUP, described, taught_by, with_words
from molmo_point.finetuning.tuning import TuningTask
from molmo_point.model.checkpoint.adapters import is_adapter
from molmo_point.model.checkpoint.quality_file import measured_quality
from molmo_point.model.checkpoint.report import inspect_checkpoint
from molmo_point.model.checkpoint.trust_file import TRUST_FILE, training_description, write_training_description
from molmo_point.pointer import Pointer
from molmo_point.request import Kind
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration
from molmo_point.trust.trained_words import TrainedWords
from molmo_point.trust.training_description import UNDESCRIBED, TrainingDescription
from tests.finetuning.conftest import settings

MUGS = PointLabels("mugs", np.array([[10.0, 20.0]]), 1)
COLORS = TrainedWords(groups={"colors": ("red", "blue")})
BASE = TrainingDescription(COLORS, frozenset({Kind.POINT}))


@pytest.mark.parametrize(
    ("annotation", "stage", "words", "kinds"),
    [
        (MUGS, "point", {"mugs"}, {Kind.POINT, Kind.COUNT}),
        (MUGS, "caption", set(), set()),
        (PointLabels("forks", None, 3), "point", {"forks"}, {Kind.COUNT}),
        (PointLabels("elephants", np.zeros((0, 2)), 0), "point", set(), {Kind.POINT, Kind.COUNT}),
        (Caption("A mug."), "caption", set(), {Kind.CAPTION}),
        (Caption("A mug."), "point", set(), {Kind.CAPTION}),
        (Answered("What is it?", "A mug.", "vqa2"), "point", set(), {Kind.ASK}),
        (Explanation("How?", "So.", ()), "point", set(), {Kind.ASK}),
    ],
)
def test_labels_teach_their_kind(annotation: object, stage: str, words: set[str], kinds: set[Kind]) -> None:
    taught = taught_by([annotation], stage)  # type: ignore[list-item]
    assert (taught.words, taught.kinds) == (words, kinds)


def test_words_and_kinds_are_added_to_those_of_the_base() -> None:
    told = described(BASE, [taught_by([MUGS], "point"), taught_by([Caption("A mug.")], "caption")])
    assert told.vocabulary is not None and told.vocabulary.groups == {"colors": ("red", "blue"), LABEL_GROUP: ("mugs",)}
    assert told.abilities == {Kind.POINT, Kind.COUNT, Kind.CAPTION}
    again = described(told, [taught_by([PointLabels("cups", None, 2)], "point")])
    assert again.vocabulary is not None and again.vocabulary.groups[LABEL_GROUP] == ("cups", "mugs")


def test_labels_are_known_as_they_are_asked_for_afterwards() -> None:
    plain = TrainedWords({"colors": ("red",), "shapes": ("cube",)}, forms={"cubes": "cube"}, patterns=("colors shapes",))
    told = with_words(TrainingDescription(plain), ["the handle of the red cube", "Red cubes", "claw hammer"]).vocabulary
    assert told is not None and told.groups[LABEL_GROUP] == ("claw hammer", "handle of the red cube"), "red cubes were known"
    for words in ("the handle of the red cube", "Could you show me the claw hammer, please?", "a red cube"):
        assert told.check(words, "tuned") is None
    for words in ("hammer", "claw hammer red cube", "the red claw hammer", "banana"):
        caution = told.check(words, "tuned")
        assert caution is not None and caution.kind is CautionKind.UNKNOWN_WORDS


def test_labels_alone_are_a_vocabulary_if_that_is_wanted() -> None:
    told = with_words(UNDESCRIBED, ["mug", "claw hammer"], closed=True).vocabulary
    assert told is not None and told.check("the mug", "own") is None and told.check("the fork", "own") is not None
    assert with_words(UNDESCRIBED, [], closed=True).vocabulary is None


def test_new_pictures_may_show_no_table() -> None:
    words = TrainedWords({"shapes": ("cube",)}, patterns=("shapes",), harmless_ends=("on the table",))
    base = TrainingDescription(words)
    assert words.check("the cube on the table", "base") is None
    for labels in (MUGS, PointLabels("cube", None, 1)):
        told = described(base, [taught_by([labels], "point")]).vocabulary
        assert (
            told is not None and told.check("the cube", "own") is None and told.check("the cube on the table", "own") is not None
        )


def test_a_base_that_knows_the_world_still_knows_it() -> None:
    assert described(UNDESCRIBED, [taught_by([MUGS], "point")]).to_settings() == UNDESCRIBED.to_settings()


@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_no_measurement_of_the_base_is_inherited(lora: dict[str, int] | None, base: Path, labels: Path, tmp_path: Path) -> None:
    if lora:
        pytest.importorskip("peft")
    measured = tmp_path / "base"
    shutil.copytree(base, measured)
    write_training_description(measured, BASE)
    entry = {"sigma_px_at_640": 3.0, "calibration": Calibration(spread_scale=2.0).to_settings()}
    (measured / "pointing.json").write_text(json.dumps(entry))
    assert measured_quality(measured)[1] != UNCALIBRATED
    folder = TuningTask(settings(measured, labels, tmp_path / "run", lora=lora)).save()
    assert is_adapter(folder) == bool(lora)
    told = training_description(folder)
    assert told.vocabulary is not None and told.vocabulary.groups[LABEL_GROUP] == ("red cubes",), "no picture shows a cat"
    assert told.abilities == set(Kind) and told.familiarity is None
    backend: Backend = Pointer.from_pretrained(folder, device="cpu").backend
    assert backend.calibration == UNCALIBRATED and math.isnan(backend.sigma_px)
    assert backend.training.to_settings() == told.to_settings()
    (note,) = (note for note in inspect_checkpoint(folder).notes if note.startswith("trust: "))
    assert "not calibrated" in note and "3 words" in note


def test_nothing_is_described_for_a_base_without_a_description(base: Path, labels: Path, tmp_path: Path) -> None:
    assert not (TuningTask(settings(base, labels, tmp_path / "run")).save() / TRUST_FILE).exists()
