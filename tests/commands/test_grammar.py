"""Commands in plain English: what each form means, and that everything else is refused with what can be said."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.commands import (
    FORMS,
    Command,
    CountStep,
    PickStep,
    PlaceStep,
    PointStep,
    Relation,
    StopStep,
    parse_command,
)
from molmo_point.commands.vocabulary import OTHER_VERBS, STOP_WORDS, VERBS
from molmo_point.errors import InputError

HAND_OVER, ASIDE = PlaceStep(Relation.HAND_OVER), PlaceStep(Relation.ASIDE)


def place(relation, where):
    return PlaceStep(Relation(relation), where)


TABLE = {
    "pick up the red mug": [PickStep("red mug")],
    "Pick the Red Mug up!": [PickStep("Red Mug")],
    "grab a screwdriver from the table": [PickStep("screwdriver")],
    "take the mug next to the plate": [PickStep("mug next to the plate")],
    "could you please pick up the red mug for me, thanks": [PickStep("red mug")],
    "hey robot, would you pick the big, red cube": [PickStep("big red cube")],
    "put the red mug in the bowl": [PickStep("red mug"), place("in", "bowl")],
    "place the mug onto the plate.": [PickStep("mug"), place("on", "plate")],
    "put the mug on top of the box": [PickStep("mug"), place("on", "box")],
    "set the cube close to the green ball": [PickStep("cube"), place("next to", "green ball")],
    "put the mug on the left next to the plate": [PickStep("mug on the left"), place("next to", "plate")],
    "put the mug on the table": [PickStep("mug"), ASIDE],
    "put the mug aside": [PickStep("mug"), ASIDE],
    "put it in the bowl": [place("in", "bowl")],
    "put it down": [ASIDE],
    "give it to me": [HAND_OVER],
    "pick up the mug and put it in the bowl": [PickStep("mug"), place("in", "bowl")],
    "pick the mug, then give it to me": [PickStep("mug"), HAND_OVER],
    "put the red cube and the green ball in the bowl": [
        PickStep("red cube"),
        place("in", "bowl"),
        PickStep("green ball"),
        place("in", "bowl"),
    ],
    "give me the salt and pepper mill": [PickStep("salt and pepper mill"), HAND_OVER],
    "give me all the screws": [PickStep("screws", every=True), HAND_OVER],
    "bring me every screw": [PickStep("screw", every=True), HAND_OVER],
    "give me two of the screws": [PickStep("screws"), HAND_OVER] * 2,
    "give me the 2 euro coin": [PickStep("2 euro coin"), HAND_OVER],
    "i'd like the screwdriver, please": [PickStep("screwdriver"), HAND_OVER],
    "bring the mug to me": [PickStep("mug"), HAND_OVER],
    "pick up all the screws": [PickStep("screws", every=True), ASIDE],
    "pick up all screws and put them in the box": [PickStep("screws", every=True), place("in", "box")],
    "put everything in the bowl": [PickStep("object", every=True), place("in", "bowl")],
    "clear the table": [PickStep("object", every=True), ASIDE],
    "please tidy up": [PickStep("object", every=True), ASIDE],
    "clear the table into the bowl": [PickStep("object", every=True), place("in", "bowl")],
    "clear all the cubes off the table": [PickStep("cubes", every=True), ASIDE],
    "clear the tray of screws": [PickStep("screws", every=True), ASIDE],
    "clear the cubes on the table": [PickStep("cubes", every=True), ASIDE],
    "how many screws are there?": [CountStep("screws")],
    "how many red screws do you see on the tray": [CountStep("red screws")],
    "how many screws are in the box?": [CountStep("screws in the box")],
    "count all the cubes": [CountStep("cubes")],
    "point at the handle of the red mug": [PointStep("handle of the red mug")],
    "where are the screws?": [PointStep("screws")],
    "show me where the mug is": [PointStep("mug")],
    "find the mug and the plate": [PointStep("mug"), PointStep("plate")],
    "Robot, please pick up the red cube, put it next to the blue ball, and then give me the brick. Thank you!": [
        PickStep("red cube"),
        place("next to", "blue ball"),
        PickStep("brick"),
        HAND_OVER,
    ],
}


@pytest.mark.parametrize("text", TABLE)
def test_the_table(text):
    command = parse_command(text)
    assert list(command.steps) == TABLE[text]
    assert command.text == text and command.corrections == ()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_that_an_error_offers_can_be_said(form):
    assert parse_command(form.replace(" (on, next to)", "")).steps


@pytest.mark.parametrize(
    "text",
    [
        *("stop", "STOP!", "no, stop", "hey robot stop now", "please stop moving", "pick up the mug, no stop"),
        *("pick the mug. Stop.", "top", "stopp", "sto", "don't move", "hold on", "halt", "the emergency stop"),
        *("cancel that", "no no no", "stop the robot"),
        *("stop it now", "stop!", "Stop, please.", "would you please stop", "can you stop the arm", "make it stop", "just stop"),
        *("stop,please", "pick the mug.stop", "stop/halt", "(stop)", '"stop"', "-stop-", "…stop", "stop…", "stop\n", "\tstop"),
        *("ＳＴＯＰ", "s t o p", "S.T.O.P.", "stoooooooop", "STOPSTOPSTOP", "haaaalt", "st\u200bop", "stop\x1b[0m", "\x00stop"),
        *("e-stop", "E-STOP!", "emergency stop", "quit", "pause", "wait", "wait!", "enough", "that's enough", "cease"),
        *("no", "No!", "don't", "don’t move", "hold", "stand down", "hands off", "back off", "stay", "do nothing"),
        *("I said stop the robot", "somebody stop that arm now please", "you must stop the thing immediately"),
        *("pick up the mug and stop the arm", "take the cube, then stop over there", "give me the mug, no, stop the arm"),
        *("stop " * 300, "pick the mug " * 200 + "stop", "stop " + "very " * 500 + "quickly"),
    ],
)
def test_stop_is_understood_whatever_else_is_said(text):
    assert parse_command(text).steps == (StopStep(),) and parse_command(text).is_stop


@pytest.mark.parametrize(
    "text",
    [
        *("pick up the stop sign", "give me the top", "pick the halter", "put the top on the pot", "drop it in the bin"),
        *("put the stop sign in the box", "where is the stop sign?", "how many stop signs are there", "point at the stop button"),
        *(
            "give me the stopwatch",
            "pick up the doorstop",
            "put the red stop sign and the cube in the box",
            "i need the stop sign",
        ),
        *("take the waiting cup", "pick up the pause button", "count the emergency exits", "put the mug on the stop sign"),
    ],
)
def test_what_only_sounds_like_stop_is_not_stop(text):
    assert not parse_command(text).is_stop


@pytest.mark.parametrize(
    ("text", "correction"),
    [
        ("pikc up the ball", ("pikc", "pick")),
        ("Plcae the mug on the plate", ("Plcae", "place")),
        ("gve me the mug", ("gve", "give")),
        ("cout the screws", ("cout", "count")),
        ("ponit at the ball", ("ponit", "point")),
        ("cleer the table", ("cleer", "clear")),
    ],
)
def test_a_misspelt_verb_is_corrected_and_reported(text, correction):
    assert parse_command(text).corrections == (correction,)


def test_names_of_things_are_never_corrected():
    assert parse_command("pick up the pikc").steps == (PickStep("pikc"),)


@pytest.mark.parametrize("verb", [verb for verb in OTHER_VERBS if verb not in ("let", "look", "do", "is", "are")])
def test_another_verb_is_not_taken_for_a_misspelling(verb):
    with pytest.raises(InputError, match="begin with a known verb"):
        parse_command(f"{verb} the cube")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must not be empty"),
        ("   ", "must not be empty"),
        ("?!", "hold a command"),
        ("please", "hold a command"),
        ("sing a song", "pick up the red mug; "),
        ("the red mug", "known verb"),
        ("pick", "an object to pick"),
        ("pick it up", "the object to pick"),
        ("pick up the cube and the ball", "one object at a time"),
        ("pick up the cube, then pick up the ball", "one object at a time"),
        ("put it in the bowl and put it in the box", "hold an object to place"),
        ("put the mug", "must name a place"),
        ("put the mug behind the plate", "in, on or next to"),
        ("move the ball to the bowl", "must name a place"),
        ("put the mug on the plate in the bowl", "(the mug on the plate) in (the bowl)"),
        ("put the mug in the bowls and the box", "name one place"),
        ("put the mug in it", "name one place"),
        ("give me", "an object to give"),
        ("bring the mug to Anna", "given to you only"),
        ("how many", "an object to count"),
        ("point at", "an object to point at"),
        ("can , you aside pick", "known verb"),
        ("pick \x00 up", "printable"),
        ("pick " + "very " * 100 + "red mug", "must be shorter"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_can_be_said(text, reason):
    with pytest.raises(InputError) as caught:
        parse_command(text)
    assert reason in str(caught.value)
    assert caught.value.fix


def test_a_number_is_refused_as_a_command():
    with pytest.raises(InputError):
        parse_command(12)  # type: ignore[arg-type]


def test_a_command_says_what_it_means():
    command = parse_command("pikc up the mug and put it in the bowl")
    assert command.describe() == "pick the mug, then put it in the bowl"
    assert command.to_dict() == {
        "text": "pikc up the mug and put it in the bowl",
        "steps": [{"do": "pick", "what": "mug", "every": False}, {"do": "place", "relation": "in", "where": "bowl"}],
        "corrections": [["pikc", "pick"]],
    }


@pytest.mark.parametrize(
    ("text", "paired"),
    [
        ("pick the mug and put it in the bowl", [(PickStep("mug"), place("in", "bowl"))]),
        ("put it aside, then pick the mug", [(ASIDE, None), (PickStep("mug"), None)]),
        (
            "how many cups? give me the mug, point at the cup",
            [(CountStep("cups"), None), (PickStep("mug"), HAND_OVER), (PointStep("cup"), None)],
        ),
        ("give me the mug, put the cup aside", [(PickStep("mug"), HAND_OVER), (PickStep("cup"), ASIDE)]),
        ("stop", [(StopStep(), None)]),
    ],
)
def test_a_pick_comes_with_the_place_that_belongs_to_it(text, paired):
    assert list(parse_command(text).paired()) == paired


def test_a_place_after_anything_but_a_pick_stands_alone():
    steps = (CountStep("cups"), ASIDE, HAND_OVER, PickStep("mug"))
    assert list(Command("", steps).paired()) == [(step, None) for step in steps]


FILLERS = "the a all and then , in on next to me it up of from table bowl red mug two how many are stop"
WORDS = st.sampled_from([*VERBS, *STOP_WORDS, *FILLERS.split()])


@given(st.lists(WORDS, min_size=1, max_size=14).map(" ".join))
def test_any_words_are_understood_or_refused_and_what_is_understood_can_be_done(text):
    try:
        steps = parse_command(text).steps
    except InputError as error:
        assert error.fix and error.what
        return
    assert len(steps) >= 1
    if any(isinstance(step, StopStep) for step in steps):
        assert steps == (StopStep(),)
    for before, after in itertools.pairwise(steps):
        assert not (isinstance(before, PickStep) and isinstance(after, PickStep))
    for step in steps:
        if isinstance(step, PlaceStep):
            assert bool(step.where) == step.relation.needs_place
        elif not isinstance(step, StopStep):
            assert step.what and step.what == step.what.strip()


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text):
    try:
        assert parse_command(text).steps
    except InputError as error:
        assert error.fix


@given(st.sampled_from(sorted(STOP_WORDS)), st.lists(WORDS, max_size=8), st.booleans())
def test_a_stop_word_at_either_end_always_stops(word, others, first):
    words = [word, *others] if first else [*others, word]
    assert parse_command(" ".join(words)).is_stop


@pytest.mark.parametrize(
    "text",
    [
        "give me the number of red cubes",
        "tell me how many red cubes",
        "I'd like to know how many red cubes",
        "what is the number of red cubes?",
    ],
)
def test_a_question_for_a_number_moves_nothing(text: str) -> None:
    assert parse_command(text).steps == (CountStep("red cubes"),)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("pick up my mug", "my mug"),
        ("count all of my mugs", "my mugs"),
        ("point at the mug", "mug"),
        ("take our two mugs", "our mugs"),
    ],
)
def test_the_owner_is_part_of_a_name(text: str, what: str) -> None:
    step = parse_command(text).steps[0]
    assert isinstance(step, CountStep | PickStep | PointStep) and step.what == what
