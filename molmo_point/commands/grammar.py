"""Parser of commands in plain English: a small grammar that refuses unknown commands and names the known ones."""

import re
from collections.abc import Callable

from molmo_point.commands import clauses
from molmo_point.commands.clauses import refuse
from molmo_point.commands.phrases import Words, begins, is_polite, strip_end, strip_start
from molmo_point.commands.spelling import corrected_verb
from molmo_point.commands.steps import Command, PickStep, PlaceStep, Relation, Step, StopStep
from molmo_point.commands.stop_reading import means_stop
from molmo_point.commands.vocabulary import HOW_MANY, POLITE_ENDS, POLITE_STARTS, VERBS, WANTS, WHERE

MAX_CHARACTERS = 400
MAX_STEPS = 100
_CLAUSES: dict[str, Callable[[Words], list[Step]]] = {
    "pick": clauses.pick,
    "give": clauses.give,
    "put": clauses.put,
    "clear": clauses.clear,
    "count": clauses.count,
    "point": clauses.point,
}


def parse_command(text: str) -> Command:
    """Parse a command.

    Polite words are ignored. A misspelled verb is corrected and reported in `corrections`; names of objects stay unchanged.
    A word for stop at the start or the end makes the whole command a stop, however long or odd the rest of the text is.

    Args:
        text: One or several clauses: "please pick up the red mug and put it in the bowl".

    Raises:
        InputError: If the command is unknown, incomplete or ambiguous, or impossible for a gripper (two objects at a time,
            nothing to place). The message lists possible commands.
    """
    if isinstance(text, str) and means_stop(text):
        return Command(text, (StopStep(),))
    sentences = _sentences(text)
    steps: list[Step] = []
    corrections: list[tuple[str, str]] = []
    for words in sentences:
        for clause in _parted(words):
            steps += _clause_steps(clause, corrections)
    steps = _with_places(steps)
    if not steps:
        raise refuse("The text must hold a command", text)
    if len(steps) > MAX_STEPS:
        raise refuse("The command must have fewer steps", f"{len(steps)} steps", f"ask for at most {MAX_STEPS} at a time")
    _check_gripper(steps, text)
    return Command(text, tuple(steps), tuple(corrections))


def _sentences(text: str) -> list[Words]:
    if not isinstance(text, str) or not text.strip():
        raise refuse("The command must not be empty", text if isinstance(text, str) else type(text).__name__)
    if len(text) > MAX_CHARACTERS:
        raise refuse("The command must be shorter", f"{len(text)} characters", f"use at most {MAX_CHARACTERS} characters")
    flat = " ".join(text.replace("’", "'").split())
    if not flat.isprintable():
        raise refuse("The command must have printable characters only", flat)
    found = []
    for sentence in re.split(r"[.;:!?]+(?:\s+|$)", flat):
        words = tuple(word for word in re.sub(r",(?=\s|$)", " , ", sentence).replace('"', " ").split() if word)
        if any(word != "," for word in words):
            found.append(words)
    return found


def _parted(words: Words) -> list[Words]:
    """Clauses, divided at "and", "then" and commas before a verb."""
    parts: list[list[str]] = [[]]
    for index, word in enumerate(words):
        if word.lower() in ("and", "then", ",") and parts[-1] and _begins_clause(words[index + 1 :]):
            parts.append([])
        else:
            parts[-1].append(word)
    return [tuple(part) for part in parts if not is_polite(tuple(part), (*POLITE_STARTS, *POLITE_ENDS))]


def _begins_clause(words: Words) -> bool:
    while words and words[0].lower() in (",", "and", "then"):
        words = words[1:]
    bare = strip_start(words, POLITE_STARTS)
    return bool(bare) and (bare[0].lower() in VERBS or begins(bare, (*WANTS, *HOW_MANY[:1], *WHERE)) > 0)


def _clause_steps(words: Words, corrections: list[tuple[str, str]]) -> list[Step]:
    # Commas divide the objects of a list; in front of the verb they have no meaning.
    spoken = [index for index, word in enumerate(words) if word != ","]
    bare = strip_start(tuple(words[index] for index in spoken), POLITE_STARTS)
    words = strip_end(words[spoken[-len(bare)] :], (*POLITE_ENDS, (",",)))
    for starts, take in ((HOW_MANY, clauses.how_many), (WANTS, clauses.give), (WHERE, clauses.point)):
        if hit := begins(words, starts):
            return take(words[hit:])
    verb = words[0].lower()
    if verb not in VERBS:
        meant = corrected_verb(verb)
        if meant is None:
            raise refuse("The command must begin with a known verb", words)
        corrections.append((words[0], meant))
        verb = meant
    return _CLAUSES[VERBS[verb]](words[1:])


def _with_places(steps: list[Step]) -> list[Step]:
    """Put aside several objects that are picked without a place."""
    whole: list[Step] = []
    for step, following in zip(steps, (*steps[1:], None), strict=False):
        whole.append(step)
        if isinstance(step, PickStep) and step.every and not isinstance(following, PlaceStep):
            whole.append(PlaceStep(Relation.ASIDE))
    return whole


def _check_gripper(steps: list[Step], text: str) -> None:
    """Check that the gripper holds one object at a time; before the first step it may hold one."""
    holds: bool | None = None
    for step in steps:
        if isinstance(step, PickStep):
            if holds:
                fix = "say where the first one goes before the second is picked: 'pick X, put it in Y, pick Z'"
                raise refuse("The gripper holds one object at a time", text, fix)
            holds = True
        elif isinstance(step, PlaceStep):
            if holds is False:
                raise refuse("The gripper must hold an object to place", text, "pick an object first")
            holds = False
