"""Check of a query's words against those of the training."""

import json
import time
from pathlib import Path

import pytest

import molmo_point
from molmo_point import Pointer
from molmo_point.cautions import CautionKind
from molmo_point.model.checkpoint.trust_file import training_description
from molmo_point.request import Kind
from molmo_point.trust.trained_words import TrainedWords
from molmo_point.trust.training_description import TrainingDescription

from ..scripted_backend import FRAME, MUG, Scripted

CHECKPOINTS = Path(molmo_point.__file__).parent / "checkpoints"
WORDS = {name: training_description(CHECKPOINTS / name).vocabulary for name in ("tabletop", "household")}


def check(words: str, model: str = "tabletop"):
    vocabulary = WORDS[model]
    assert vocabulary is not None
    return vocabulary.check(words, model)


@pytest.mark.parametrize(
    "words",
    [
        *("the red cube", "Red Cubes", "THE BALL.", "all green balls", "a thing", "white objects", "the orange brick"),
        *("please point to the red cube", "could you show me the red cube, please?", "how many cubes are on the table?"),
        *("“the red cube”", "the\u00a0red  cube!", "ｔｈｅ ｒｅｄ ｃｕｂｅ", "where's my blue cylinder?"),
    ],
)
def test_words_of_the_training_pass(words: str) -> None:
    assert check(words) is None


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        ("the mug", ("mug",)),
        ("the red mug", ("mug",)),
        ("the turquoise cube", ("turquoise",)),
        ("not the red ones", ("not", "ones")),
        ("the cube that is not red", ("not",)),
        ("the red cube left of the ball", ("left",)),
        ("everything except the red cube", ("everything", "except")),
        ("two red cubes", ("two",)),
        ("3 red cubes", ("3",)),
        ("the red and the blue cube", ("and", "the")),
        ("der rote Würfel", ("der", "rote", "würfel")),
        ("赤い立方体", ("赤い立方体",)),
        ("красный куб", ("красный", "куб")),
        ("the red сube", ("сube",)),
        ("the red cube 🍌", ("🍌",)),
        ("the red cube ❌", ("❌",)),
        ("🚫 the red cube", ("🚫",)),
        ("the red cube's top", ("cube's", "top")),
        ("blueball", ("blueball",)),
        ("the red-cube", ("-",)),
        ("red, cube", (",",)),
        ("red\u200bcube", ("\u200b",)),
        ("...", ()),
        ("the", ("the",)),
        ("cube red", ()),
        ("red cube blue ball", ()),
        ("red red cube", ()),
    ],
)
def test_other_words_are_named(words: str, unknown: tuple[str, ...]) -> None:
    caution = check(words)
    assert caution is not None and caution.kind is CautionKind.UNKNOWN_WORDS
    assert caution.words == unknown
    assert "\n" not in caution.message and caution.message.isprintable()
    assert all(word in caution.message for word in unknown[:3] if word.isprintable())


def test_a_message_says_what_the_model_knows() -> None:
    caution = check("the mug")
    assert caution is not None
    assert caution.message == "tabletop knows 8 colors and 4 shapes; 'mug' is none of them"
    caution = check("two three four five fifty", "household")
    assert caution is not None
    known = "household knows 11 colors, 235 nouns and 12 categories"
    assert caution.message == f"{known}; 'two', 'three', 'four' and 2 more are not among them"
    caution = check("the red mug and the elephant")
    assert caution is not None
    assert caution.message == "tabletop knows 8 colors and 4 shapes; 'mug' and 'elephant' are not among them"
    caution = check("the cube red")
    assert caution is not None
    assert caution.message == "tabletop knows 8 colors and 4 shapes, but was not trained on them in this order: 'cube red'"
    caution = check("red")
    assert caution is not None
    assert caution.message == "tabletop knows 8 colors and 4 shapes, but was never asked for 'red' alone"


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        ("the gren ball", "the green ball"),
        ("the red cubee", "the red cube"),
        ("the blakc cilinder", "the black cylinder"),
        ("Show me the yelow brick, please", "Show me the yellow brick, please"),
        ("bleu cube", "blue cube"),
        ("teh red cube", "the red cube"),
        ("redcube", "red cube"),
        ("the red-cube", "the red cube"),
        ("the red cube 🍌", "the red cube"),
        ("the bell", ""),
        ("the tall brick", ""),
        ("the gren mug", ""),
        ("the rat", ""),
    ],
)
def test_a_misspelling_gets_the_whole_query_as_it_should_be(words: str, suggestion: str) -> None:
    caution = check(words)
    assert caution is not None and caution.suggestion == suggestion
    assert (f"did you mean {suggestion!r}?" in str(caution)) == bool(suggestion)
    assert not suggestion or check(suggestion) is None


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("the mug left of a bowl of fruit", True),
        ("the object between the red mug and the knife", True),
        ("the knives", True),
        ("the largest box", True),
        ("the item closest to the camera", True),
        ("the pieces of cutlery", True),
        ("the mug to the left of the tea cup", True),
        ("the mug on the plate", False),
        ("the largest", False),
        ("the mug left of", False),
        ("the left mug", False),
        ("the mug and the knife", False),
        ("the apple box", False),
        ("of fruit", False),
    ],
)
def test_relations_pass_in_the_order_of_the_training(words: str, known: bool) -> None:
    assert (check(words, "household") is None) == known


@pytest.mark.parametrize("words", ["red cube " * 11_000, "x" * 100_000, "gren " * 20_000, ", " * 50_000, "red cube" + " " * 5000])
@pytest.mark.parametrize("model", sorted(WORDS))
def test_any_length_is_checked_at_once(words: str, model: str) -> None:
    start = time.perf_counter()
    caution = check(words, model)
    assert time.perf_counter() - start < 0.5
    assert caution is not None and len(caution.message) < 400 and len(caution.words) <= 12


def test_a_vocabulary_without_patterns_takes_any_order() -> None:
    words = TrainedWords({"names": ("gasket", "o ring")}, forms={"gaskets": "gasket"})
    assert all(words.check(query, "mine") is None for query in ("the gasket", "O ring", "gaskets o ring"))
    caution = words.check("the ring", "mine")
    assert caution is not None and caution.words == ("ring",)
    assert caution.message == "mine knows 2 names; 'ring' is none of them"


SPOKEN = (
    *("would you be able to find the red cube?", "if possible, point to the red cube", "the red cube, where is it?"),
    *(
        "your job is to find the red cube",
        "isn’t there a red cube?",
        "why don't you show me the red cube",
        "I guess the red cube",
    ),
    *("the red cube, can you see it?", "draw a circle around the red cube", "when you see the red cube, point at it"),
    *(
        "how do I get to the red cube?",
        "please be so kind and show me the red cube",
        "actually, the red cube",
        "the red cube too",
    ),
    *("I could use the red cube", "I'm thinking of the red cube", "por favor, the red cube", "the red cube my friend"),
)
MORE_THAN_A_REQUEST = (
    *(
        "the robot at the red cube",
        "the one that has the red cube",
        "this and the red cube",
        "just like the red cube",
        "no, the red cube",
    ),
    *("the place for the red cube", "where should the red cube go", "where to put the red cube", "my hand and the red cube"),
    *("the mark on the red cube", "the pick for the red cube", "give up the red cube", "!red cube", "no red cube please"),
    *(
        "the thing I need to use",
        "the thing you use to grab",
        "please, the cube and the ball",
        "I see no red cube",
        "it's not the red cube",
    ),
    *("look away from the red cube", "the red cube or it", "the red cube up there", "the red cube to the right", "too red cube"),
    *(
        "who has the red cube",
        "red cube - no",
        "you should never show the red cube",
        "the red cube visible no more",
        "2 red cubes please",
    ),
)


@pytest.mark.parametrize("model", sorted(WORDS))
def test_a_request_of_harmless_words_leaves_its_names(model: str) -> None:
    vocabulary = WORDS[model]
    assert vocabulary is not None
    assert [words for words in SPOKEN if vocabulary.names(words) != "red cube"] == []
    assert [words for words in SPOKEN if vocabulary.check(words, model) is not None] == []
    assert [words for words in MORE_THAN_A_REQUEST if vocabulary.check(words, model) is None] == []


HARMLESS = (
    "the red cube on the table",
    "one red cube",
    "the red cube only",
    "please, one red cube on this table",
    "a single red cube",
)


@pytest.mark.parametrize("model", sorted(WORDS))
def test_phrases_that_say_nothing_of_a_table_are_left_out(model: str) -> None:
    vocabulary = WORDS[model]
    assert vocabulary is not None
    for words in HARMLESS:
        assert vocabulary.check(words, model) is None, words
        assert vocabulary.names(words) == "red cube", words
    other = ("not one red cube", "the red cube not on the table", "the red cube on the shelf", "one of the two red cubes")
    for words in (
        *other,
        "one or two red cubes",
        "more than one red cube",
        "the red cube under the table",
        "not only the red cube",
    ):
        assert vocabulary.check(words, model) is not None, words
    assert vocabulary.names("one") == "one"


def test_only_a_model_of_tables_is_asked_without_the_table() -> None:
    backend = Scripted(MUG)
    Pointer(backend).point(FRAME, "the red cube on the table")
    backend.training = TrainingDescription(WORDS["tabletop"])
    pointing = Pointer(backend).point(FRAME, "the red cube on the table")
    assert [call["prompt"] for call in backend.calls] == ["Point to red cube on the table", "Point to red cube"]
    assert pointing.query == "the red cube on the table"


def test_no_words_at_all_know_nothing() -> None:
    caution = TrainedWords({}).check("the cube", "mine")
    assert caution is not None and caution.message == "mine knows no words; 'cube' is none of them"


@pytest.mark.parametrize("model", sorted(WORDS))
def test_settings_read_back_what_was_written(model: str) -> None:
    words = WORDS[model]
    assert words is not None
    assert TrainedWords.from_settings(json.loads(json.dumps(words.to_settings()))) == words


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"groups": {}},
        {"groups": {"colors": []}},
        {"groups": ["red"]},
        {"groups": {"colors": [1]}},
        {"groups": {"colors": [" "]}},
        {"groups": {"colors": None}},
        {"groups": {"colors": ["red"]}, "forms": ["reds"]},
        {"groups": {"colors": ["red"]}, "patterns": 5},
        {"groups": {"colors": ["red"]}, "patterns": ["colors shapes"]},
    ],
)
def test_broken_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        TrainedWords.from_settings(settings)


def test_shipped_checkpoints_state_what_they_were_trained_for() -> None:
    abilities = {name: training_description(CHECKPOINTS / name).abilities for name in WORDS}
    assert abilities == {"tabletop": {Kind.POINT, Kind.COUNT}, "household": {Kind.POINT}}
