"""Wordings of one question: the model reads what it was trained on, and the results keep the words of the user."""

import random

import pytest

from molmo_point import Pointer, PointRequest
from molmo_point.commands import PickStep, parse_command
from molmo_point.points.dialects import DIALECTS, dialect_of
from molmo_point.points.dialects.dialect import Dialect
from molmo_point.request import Kind

from ...scripted_backend import FRAME, MUG, Scripted

SAME = (
    *("THE RED MUG", "The Red Mug", "The red mug", "the red mug.", "the red mug!", "the red mug ?", "the red mug..."),
    *("the  red mug", "the red\u00a0mug", "the red\u3000mug", "the\u2009red mug", "ｔｈｅ　ｒｅｄ　ＭＵＧ", "the red mug。"),
    *('"the red mug"', "“The red mug.”", "'the red mug'", "the red mug,", "The Red Mug ;"),
    *("red mug", "a red mug", "this red mug", "my red mug", "any red mug", "all the red mug", "each of the red mug"),
    *("please point to the red mug", "could you show me the red mug, please?", "where is the red mug?", "Where's the red mug"),
    *(
        "I'd like the red mug",
        "I’d like the red mug",
        "find me the red mug",
        "can you pick out the red mug?",
        "Find the red mug!",
    ),
    *("show me where the red mug is", "which one is the red mug?", "pick up The Red Mug, please", "how many red mug are there?"),
    *(
        "give me the location of the red mug",
        "what is the position of the red mug?",
        "I am looking for a red mug",
        "locate: red mug",
    ),
    *(
        "Hey robot, would you mind pointing to the red mug?",
        "would you be so kind as to point at the red mug",
        "the red mug for me",
    ),
    *("is there a red mug in the image?", "do you see any red mug anywhere", 'Please find the "red mug", thank you!'),
    *("Next, point to the red mug", "Where exactly is the red mug?", "In this picture, where is the red mug?", "(the red mug)"),
    *("Do you know where the red mug is?", "Pick the red mug up", "Is it possible to point to the red mug?", "just the red mug"),
    *(
        "tell me how many red mug there are",
        "there should be a red mug",
        "the red mug that you can see",
        "pls click on the red mug",
    ),
    *(
        "I can't find the red mug",
        "I’ve lost my red mug",
        "any idea where the red mug is?",
        "I was wondering where the red mug is",
    ),
    *("it would be great if you could find the red mug", "do me a favour and point to the red mug", "um, the red mug"),
    *("Good. Show me the red mug.", "Thanks. Now the red mug.", "ok now the red mug", "mate, grab us the red mug", "red mug thx"),
    *("the red mug, if you don’t mind", "show the red mug to me", "there's a red mug somewhere", "the red mug that I want"),
    *("it's the red mug I want", "what I need is the red mug", "the mug that is red", "the mug that’s red", "a red-coloured mug"),
    *(
        "the red mug 🙂",
        "👉🏽 the red mug",
        "the red mug please :)",
        "[the red mug]",
        "which mug is red?",
        "where did the red mug go?",
    ),
    *("won't you show me the red mug", "go and find the red mug", "take me to the red mug", "the location of the red mug please"),
    *(
        "the red mug right away",
        "the red mug, thanks in advance",
        "tell me where to find the red mug",
        "has anybody seen a red mug?",
    ),
    *("I want you to find the red mug", "I need a red mug", "tell me where the red mug is, please", "take the red mug right now"),
)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize("kind", [Kind.POINT, Kind.COUNT])
def test_a_wording_does_not_change_the_prompt(name: str, kind: Kind) -> None:
    dialect = dialect_of(name)
    plain = dialect.prompt(PointRequest("the red mug", kind))
    for words in SAME:
        request = PointRequest(words, kind)
        assert dialect.prompt(request) == plain, words
        assert request.words == words


@pytest.mark.parametrize(
    ("words", "trained"),
    [
        ("the USB plug of the UR5e", "usb plug of the ur5e"),
        ("mug no. 5", "mug no. 5"),
        ('the "red" cube', '"red" cube'),
        ('"a" and "b"', '"a" and "b"'),
        ("the 2.5 mm screw", "2.5 mm screw"),
        ("l'assiette", "l'assiette"),
        ("CAFE\u0301", "café"),
        ("die Straße", "die straße"),
        ("...", "..."),
        ("?", "?"),
        ("the cube that is not red", "cube that is not red"),
        ("not the red ones", "not the red ones"),
        ("all but the red cube", "all but the red cube"),
        ("all except the red cube", "all except the red cube"),
        ("every other cube", "every other cube"),
        ("two of the red cubes", "two of the red cubes"),
        ("both mugs", "both mugs"),
        ("the leftmost mug", "leftmost mug"),
        ("the mug left of the bowl", "mug left of the bowl"),
        ("please don't point to the red cube", "don't point to the red cube"),
        ("can you not show me the mug", "can you not show me the mug"),
        ("I don't want the mug", "i don't want the mug"),
        ("is there no mug", "no mug"),
        ("find my iPhone case", "iphone case"),
        ("the number of the bus", "number of the bus"),
        ("there is no red cube", "there is no red cube"),
        ("show me anything but the red cube", "anything but the red cube"),
        ("how many cubes are not red?", "cubes are not red"),
        ("the red cube and not the blue one", "red cube and not the blue one"),
        ("next to the mug", "next to the mug"),
        ("which cube is not red", "which cube is not red"),
        ("touch screen", "touch screen"),
        ("the red mug is not what I want", "red mug is not what"),
        ("I don't need the red mug", "i don't need the red mug"),
        ("there isn't any red mug", "there isn't any red mug"),
        ("not mugs that are red", "not mugs that are red"),
        ("the mug next to the bowl that is red", "mug next to the bowl that is red"),
        ("show me the mug closest to me", "mug closest to me"),
        ("❌ the red mug", "❌ the red mug"),
        ("the mug with 😀", "mug with 😀"),
        ("the mug on the table", "mug on the table"),
        ("one mug", "one mug"),
        ("one way sign", "one way sign"),
        ("the handle of the red mug", "handle of the red mug"),
        ("Show me the Money poster", "money poster"),
        ("a can of soda", "can of soda"),
        ("the point of the pencil", "point of the pencil"),
        ("the center of the plate", "center of the plate"),
        ("please press the button for me", "button"),
        ("push button", "push button"),
        ("good luck charm", "good luck charm"),
        ("which one is the trash can?", "trash can"),
        ("where do you see the trash can", "trash can"),
        ("show case", "show case"),
        ("point of sale terminal", "point of sale terminal"),
        ("hello kitty", "hello kitty"),
        ("where I should grasp the mug", "where i should grasp the mug"),
        ("what is on the plate", "what is on the plate"),
        ("a and b", "a and b"),
        ("the", "the"),
        ("please", "please"),
        ("show me", "show me"),
        ("where is", "where is"),
    ],
)
def test_what_carries_meaning_stays(words: str, trained: str) -> None:
    assert dialect_of("molmo").trained_words(words) == trained


def test_no_words_lose_their_negation_or_all_their_letters() -> None:
    parts = (
        "please the a red cube where is show me can you find are there how many of all in image thanks , . ? ' ( that i want to"
    )
    choices, rng = [*parts.split(), "pick", "up", "point", "one", "and"], random.Random(1)
    for _ in range(3000):
        words = [rng.choice(choices) for _ in range(rng.randint(1, 8))]
        words.insert(rng.randint(0, len(words)), rng.choice(("not", "no", "without", "except", "mug")))
        kept = dialect_of("molmo").trained_words(" ".join(words)).split()
        assert {"not", "no", "without", "except", "mug"} & {*words} <= {*kept}, words


def test_a_dialect_may_keep_capitals() -> None:
    class Names(Dialect):
        name = "names"
        lower_case = False

        def find_points(self, text, problems, *, growing=False):
            return iter(())

    assert Names().prompt(PointRequest("The  USB plug.")).text == "Point to USB plug"


def test_a_dialect_may_keep_articles_and_requests() -> None:
    class Whole(Dialect):
        name = "whole"
        bare_names = False

        def find_points(self, text, problems, *, growing=False):
            return iter(())

    assert Whole().prompt(PointRequest("Show me the USB  plug.")).text == "Point to show me the usb plug"


def test_a_command_asks_for_the_same_words() -> None:
    for command in ("pick up The Red Cube, please", "PICK UP THE RED CUBE", "could you grab a red cube for me?"):
        (step,) = parse_command(command).steps
        assert isinstance(step, PickStep)
        assert dialect_of("molmo").prompt(PointRequest(step.what)).text == "Point to red cube"


def test_a_count_has_no_article() -> None:
    dialect = dialect_of("molmo")
    for words in ("mugs", "the mugs", "THE MUGS?", "all the mugs"):
        assert dialect.prompt(PointRequest(words, Kind.COUNT)).text == "How many mugs are there?"
    assert dialect.prompt(PointRequest("the", Kind.COUNT)).text == "How many the are there?"


def test_results_keep_the_words_of_the_user() -> None:
    backend = Scripted(MUG)
    pointing = Pointer(backend).point(FRAME, "The RED Mug.", labels=False)
    assert pointing.query == "The RED Mug."
    assert pointing.points[0].label == "mug"
    assert Pointer(backend).count(FRAME, "MUGS").query == "MUGS"
    assert [call["prompt"] for call in backend.calls] == ["Point to red mug", "How many mugs are there?"]
