"""Words of a training, described from its own questions and written beside the weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab import export
from lab.training.questions import PLAIN_VOCABULARY, draw_questions
from lab.training.shards import plain_object
from lab.word_description import household_words, plain_shape_words, with_other_words
from molmo_point.model.checkpoint.trust_file import training_description
from molmo_point.request import Kind
from molmo_point.trust.trained_words import TrainedWords

CHECKPOINTS = Path(export.__file__).resolve().parent.parent / "molmo_point" / "checkpoints"


@pytest.fixture(scope="module")
def plain() -> TrainedWords:
    return plain_shape_words(scenes=300)


def test_a_description_has_the_words_and_their_order(plain: TrainedWords) -> None:
    assert plain.groups == {"colors": PLAIN_VOCABULARY.colors, "shapes": PLAIN_VOCABULARY.nouns}
    assert plain.patterns == ("colors generic", "colors shapes", "generic", "shapes")
    assert plain.forms["cubes"] == "cube" and plain.check("the white items", "tabletop") is None


def test_shipped_words_are_those_of_the_training(plain: TrainedWords) -> None:
    shipped = training_description(CHECKPOINTS / "tabletop").vocabulary
    assert shipped is not None
    assert (shipped.groups, shipped.forms, shipped.patterns) == (plain.groups, plain.forms, plain.patterns)
    assert (shipped.harmless_starts, shipped.harmless_ends) == (plain.harmless_starts, plain.harmless_ends)


def test_every_question_of_the_training_passes() -> None:
    shipped, rng = training_description(CHECKPOINTS / "tabletop").vocabulary, np.random.default_rng(77)
    assert shipped is not None
    prompts = set()
    for _ in range(300):
        objects = [
            plain_object(
                str(rng.choice(PLAIN_VOCABULARY.colors)), str(rng.choice(PLAIN_VOCABULARY.nouns)), *rng.uniform(0, 100, 2)
            )
            for _ in range(4)
        ]
        prompts |= {question.prompt for question in draw_questions(objects, 5, rng, PLAIN_VOCABULARY)}
    assert len(prompts) > 500
    assert [prompt for prompt in sorted(prompts) if shipped.check(prompt, "tabletop") is not None] == []


@pytest.mark.slow
def test_every_question_about_households_passes() -> None:
    shipped = training_description(CHECKPOINTS / "household").vocabulary
    described = household_words(scenes=1500)
    assert shipped is not None
    assert shipped.groups == described.groups and shipped.forms == described.forms
    assert set(described.patterns) <= set(shipped.patterns)


def test_words_of_the_language_are_no_misspellings(plain: TrainedWords) -> None:
    assert plain.correction("back") == "black" and plain.correction("blak") == "black"
    words = with_other_words(plain, ["back", "Blac", "black", "table", "read", "x-ray"])
    assert words.other_words == ("back", "read")
    assert words.correction("back") is None and words.correction("blak") == "black"


def test_an_export_keeps_the_other_parts_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: TrainedWords
) -> None:
    path = tmp_path / "trust.json"
    path.write_text('{"familiarity": {"limit": 5.0}, "later": 1, "abilities": ["ask"]}')
    (tmp_path / "dictionary").write_text("back\ntable\n")
    monkeypatch.setitem(export._TRAININGS, "plain", (lambda: plain, frozenset({Kind.POINT})))
    export.export_words(tmp_path, "plain", tmp_path / "dictionary")
    held = json.loads(path.read_text())
    assert held["familiarity"] == {"limit": 5.0} and held["later"] == 1 and held["abilities"] == ["point"]
    assert TrainedWords.from_settings(held["vocabulary"]).other_words == ("back",)
