"""A command in plain English to steps: a small grammar that refuses what it does not know, and says what it does."""

import re
from collections.abc import Callable

from molmo_point.commands import clauses
from molmo_point.commands.clauses import refuse
from molmo_point.commands.phrases import Words, is_polite, lower, strip_end, strip_start
from molmo_point.commands.spelling import corrected_verb, sounds_like_stop
from molmo_point.commands.steps import Command, PickStep, PlaceStep, Relation, Step, StopStep
from molmo_point.commands.vocabulary import POLITE_ENDS, POLITE_STARTS, STOP_PHRASES, STOP_WORDS, VERBS, WANTS

MAX_CHARACTERS = 400
MAX_STEPS = 100
_HOW_MANY: tuple[Words, ...] = (("how", "many"), ("what", "number", "of"), ("the", "number", "of"), ("number", "of"))
_WHERE: tuple[Words, ...] = (("where", "is"), ("where", "are"), ("where's",), ("look", "for"))
_CLAUSES: dict[str, Callable[[Words], list[Step]]] = {
    "pick": clauses.pick,
    "give": clauses.give,
    "put": clauses.put,
    "clear": clauses.clear,
    "count": clauses.count,
    "point": clauses.point,
}


def parse_command(text: str) -> Command:
    """Understand what was said.

    Politeness is passed over, and a misspelt verb is taken for the right one and reported in `corrections`; names of
    things stay as they were said. A word for stop at the start or the end makes the whole command a stop.

    Args:
        text: One or several clauses: "please pick up the red mug and put it in the bowl".

    Raises:
        InputError: For anything that cannot be said, that is said in part only, that can be read in two ways, or that
            no gripper could do (hold two things, put down nothing). The message says what can be said.
    """
    sentences = _sentences(text)
    if any(_is_stop(words) for words in sentences):
        return Command(text, (StopStep(),))
    steps: list[Step] = []
    corrections: list[tuple[str, str]] = []
    for words in sentences:
        for clause in _parted(words):
            steps += _clause_steps(clause, corrections)
    steps = _with_places(steps)
    if not steps:
        raise refuse("There is no command in this", text)
    if len(steps) > MAX_STEPS:
        raise refuse("The command has too many steps", f"{len(steps)} steps", f"ask for at most {MAX_STEPS} at a time")
    _check_gripper(steps, text)
    return Command(text, tuple(steps), tuple(corrections))


def _sentences(text: str) -> list[Words]:
    if not isinstance(text, str) or not text.strip():
        raise refuse("There is no command", text if isinstance(text, str) else type(text).__name__)
    if len(text) > MAX_CHARACTERS:
        raise refuse("The command is too long", f"{len(text)} characters", f"say it in at most {MAX_CHARACTERS} characters")
    flat = " ".join(text.replace("’", "'").split())
    if not flat.isprintable():
        raise refuse("The command has characters that cannot be printed", flat)
    found = []
    for sentence in re.split(r"[.;:!?]+(?:\s+|$)", flat):
        words = tuple(word for word in re.sub(r",(?=\s|$)", " , ", sentence).replace('"', " ").split() if word)
        if any(word != "," for word in words):
            found.append(words)
    if not found:
        raise refuse("There is no command in this", text)
    return found


def _is_stop(words: Words) -> bool:
    small = tuple(word for word in lower(words) if word != ",")
    bare = strip_end(strip_start(small, POLITE_STARTS), (*POLITE_ENDS, ("it",), ("moving",), ("that",)))
    if len(bare) == 1 and bare[0] not in VERBS and sounds_like_stop(bare[0]):
        return True
    begins = any(whole[: len(phrase)] == phrase for whole in (small, bare) for phrase in STOP_PHRASES)
    return begins or small[0] in STOP_WORDS or bare[0] in STOP_WORDS or bare[-1] in STOP_WORDS or small[-1] in STOP_WORDS


def _parted(words: Words) -> list[Words]:
    """Clauses: parted at "and", "then" and commas that a verb follows."""
    parts: list[list[str]] = [[]]
    for index, word in enumerate(words):
        if word.lower() in ("and", "then", ",") and parts[-1] and _begins_clause(words[index + 1 :]):
            parts.append([])
        else:
            parts[-1].append(word)
    polite = (*POLITE_STARTS, *POLITE_ENDS)
    return [tuple(part) for part in parts if not is_polite(tuple(part), polite)]


def _begins_clause(words: Words) -> bool:
    while words and words[0].lower() in (",", "and", "then"):
        words = words[1:]
    bare = strip_start(words, POLITE_STARTS)
    if not bare:
        return False
    return bare[0].lower() in VERBS or any(lower(bare[: len(start)]) == start for start in (*WANTS, *_HOW_MANY[:1], *_WHERE))


def _clause_steps(words: Words, corrections: list[tuple[str, str]]) -> list[Step]:
    while words and words[0] == ",":
        words = words[1:]
    without_commas = strip_start(tuple(word for word in words if word != ","), POLITE_STARTS)
    # Commas part the things of a list; in front of the verb they part nothing.
    words = strip_end(words[len(words) - _tail_length(words, len(without_commas)) :], (*POLITE_ENDS, (",",)))
    small = lower(words)
    for starts, take in ((WANTS, clauses.give), (_HOW_MANY, clauses.how_many), (_WHERE, clauses.point)):
        rest = next((words[len(start) :] for start in starts if small[: len(start)] == start), None)
        if rest is not None:
            return take(rest)
    verb = small[0]
    if verb not in VERBS:
        meant = corrected_verb(verb)
        if meant is None:
            raise refuse("This is not a command that is known", words)
        corrections.append((words[0], meant))
        verb = meant
    return _CLAUSES[VERBS[verb]](words[1:])


def _tail_length(words: Words, word_count: int) -> int:
    """How many of the words at the end, commas included, hold `word_count` that are no commas."""
    length = 0
    for word in reversed(words):
        if word != "," and word_count == 0:
            break
        word_count -= word != ","
        length += 1
    while length and words[len(words) - length] == ",":
        length -= 1
    return length


def _with_places(steps: list[Step]) -> list[Step]:
    """Several things that are picked without a place to go to are put aside."""
    whole: list[Step] = []
    for index, step in enumerate(steps):
        whole.append(step)
        following = steps[index + 1] if index + 1 < len(steps) else None
        if isinstance(step, PickStep) and step.every and not isinstance(following, PlaceStep):
            whole.append(PlaceStep(Relation.ASIDE))
    return whole


def _check_gripper(steps: list[Step], text: str) -> None:
    """A gripper holds one thing at a time; before the first step it may hold something."""
    holds: bool | None = None
    for step in steps:
        if isinstance(step, PickStep):
            if holds:
                fix = "say where the first one goes before the second is picked: 'pick X, put it in Y, pick Z'"
                raise refuse("The gripper holds one thing at a time", text, fix)
            holds = True
        elif isinstance(step, PlaceStep):
            if holds is False:
                raise refuse("Nothing is held that could be put down", text, "pick something first")
            holds = False
