"""Words of commands, and examples of all forms."""

from molmo_point.commands.steps import Relation

FORMS = (
    "pick up the red mug",
    "put the red mug in (on, next to) the bowl",
    "pick up the red mug and put it in the bowl",
    "give me the red mug",
    "give me all the screws",
    "put all the screws in the bowl",
    "clear the table",
    "how many screws are there?",
    "point at the handle of the red mug",
    "stop",
)
"""One example of every form of command."""

VERBS: dict[str, str] = {
    **dict.fromkeys(("pick", "grab", "grasp", "grip", "take", "lift", "collect"), "pick"),
    **dict.fromkeys(("give", "hand", "pass", "bring", "fetch", "get"), "give"),
    **dict.fromkeys(("put", "place", "move", "lay", "set", "drop"), "put"),
    **dict.fromkeys(("clear", "clean", "tidy", "empty"), "clear"),
    **dict.fromkeys(("count",), "count"),
    **dict.fromkeys(("point", "find", "locate", "show"), "point"),
}
"""First word of a command -> kind of the command."""

HEARD_STOP_WORDS = ("stop", "halt", "freeze", "abort", "cancel", "emergency", "whoa")
"""A lone word that is similar to one of them means stop."""
STOP_WORDS = (*HEARD_STOP_WORDS, "estop", "quit", "cease", "pause", "wait", "enough")
"""Each of them at the start or the end of a command means stop."""

STOP_PHRASES: tuple[tuple[str, ...], ...] = (
    *(("don't", "move"), ("do", "not", "move"), ("hold", "on"), ("hold", "it"), ("hold", "still"), ("stand", "still")),
    *(
        ("stay", "there"),
        ("stay", "still"),
        ("keep", "still"),
        ("no", "no"),
        ("stand", "down"),
        ("back", "off"),
        ("hands", "off"),
    ),
    *(("that's", "enough"), ("that", "is", "enough"), ("cut", "it", "out"), ("knock", "it", "off"), ("do", "nothing")),
    ("stand", "down"),
)
"""Starts of commands that mean stop."""

LONE_STOPS = frozenset(("no", "nope", "don't", "hold", "stay"))
"""Each of them alone means stop."""
JOINTS = frozenset((",", "and", "then", "but", "or", "no", "please", "now", "just"))
"""A word for stop right after one of them begins a clause."""

OTHER_VERBS = (
    *("pack", "paint", "park", "paste", "peck", "peel", "plant", "plate", "play", "pluck", "poke", "pour", "press", "print"),
    *("pull", "push", "puck", "cook", "close", "court", "climb", "cover", "cut", "drip", "fight", "fill", "fix", "flip", "fold"),
    *("hang", "hold", "leave", "left", "let", "lick", "list", "live", "load", "look", "love", "make", "mix", "mount", "open"),
    *("sell", "send", "shake", "shove", "shoe", "sort", "spin", "tape", "taste", "tell", "throw", "tip", "turn", "twist"),
    *("what", "when", "who", "why", "is", "are", "do", "does", "go", "come", "greet", "guess", "gave", "had", "have"),
)
"""Words similar to a verb with another meaning; never corrected to the verb."""


def _phrases(text: str) -> tuple[tuple[str, ...], ...]:
    """Read phrases with commas between them, as words."""
    return tuple(tuple(phrase.split()) for phrase in text.split(","))


RELATIONS: dict[tuple[str, ...], Relation] = {
    **dict.fromkeys(_phrases("on top of, on to, onto, on, atop"), Relation.ON),
    **dict.fromkeys(_phrases("in to, into, inside of, inside, in"), Relation.IN),
    **dict.fromkeys(_phrases("next to, to the side of, close to, beside, near, by"), Relation.NEXT_TO),
}
"""Words between an object and its place."""

SIDES = frozenset(
    ("left", "right", "top", "bottom", "back", "front", "corner", "side", "edge", "middle", "far", "near", "upper", "lower")
)
"""After "on the" and "in the" they belong to the object ("the mug on the left"), and are no place."""

OTHER_PLACES = _phrases(
    "behind, under, below, underneath, above, over, between, against, around, "
    "left of, right of, in front of, on the left of, on the right of"
)
"""Places without a relation; commands with them are refused."""

OWNERS = frozenset(("my", "your", "our"))
"""They are part of a name: "my mug" may have been taught."""
ARTICLES = frozenset(("a", "an", "the", "this", "that", "these", "those", "some", "one", "any")) | OWNERS
EVERY = frozenset(("all", "every", "each", "both"))
EVERYTHING = frozenset(("everything", "all", "it all", "all of it", "all of them", "everything else", "anything", "all objects"))
PRONOUNS = frozenset(("it", "this", "that", "them", "these", "those", "one", "him", "her", "this one", "that one"))
WORKTOPS = frozenset(("table", "desk", "bench", "workbench", "counter", "worktop", "surface", "workspace"))
"""Objects put on one of these are put aside, at any free place."""
SURFACES = WORKTOPS | {"tray", "floor"}
ANY_OBJECT = "object"
"""Query for all objects."""

POLITE_STARTS: tuple[tuple[str, ...], ...] = (
    *(("please",), ("kindly",), ("hey",), ("hi",), ("hello",), ("ok",), ("okay",), ("now",), ("then",), ("and",), ("so",)),
    *(("robot",), ("arm",), ("just",), ("yes",), ("no",), ("oh",), ("well",), ("next",), ("first",), ("finally",), ("also",)),
    *((modal, "you") for modal in ("can", "could", "would", "will")),
    *(("would", "you", "mind"), ("i", "want", "you", "to"), ("i", "would", "like", "you", "to"), ("i'd", "like", "you", "to")),
    *(("i", "need", "you", "to"), ("let's",), ("go", "ahead", "and"), ("try", "to")),
)
POLITE_ENDS: tuple[tuple[str, ...], ...] = (
    *(("please",), ("for", "me"), ("now",), ("right", "now"), ("thanks",), ("thank", "you"), ("robot",), ("would", "you")),
    *(("will", "you"), ("could", "you"), ("can", "you"), ("at", "once"), ("too",), ("then",)),
)
WANTS: tuple[tuple[str, ...], ...] = (
    *(("i", "need"), ("i", "want"), ("i", "would", "like"), ("i'd", "like"), ("can", "i", "have"), ("could", "i", "have")),
    *(("may", "i", "have"), ("let", "me", "have")),
)
"""Phrases for "give me"."""
_NUMBER_OF = (("how", "many"), ("the", "number", "of"))
_TOLD = ("tell me", "give me", "show me", "i want to know", "i'd like to know", "i would like to know", "do you know")
HOW_MANY: tuple[tuple[str, ...], ...] = (
    *(*_NUMBER_OF, ("what", "number", "of"), ("number", "of"), ("what", "is", *_NUMBER_OF[1]), ("what's", *_NUMBER_OF[1])),
    *((*told.split(), *asked) for told in _TOLD for asked in _NUMBER_OF),
)
WHERE: tuple[tuple[str, ...], ...] = (("where", "is"), ("where", "are"), ("where's",), ("look", "for"))

_NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: number for number, word in enumerate(_NUMBER_WORDS, start=2)}
UNITS = frozenset(("mm", "cm", "m", "inch", "inches", "euro", "cent", "cents", "dollar", "kg", "g", "ml", "l", "v", "volt"))
"""After a number they make it part of the object ("2 euro coin")."""
