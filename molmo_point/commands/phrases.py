"""Names of objects in a clause: articles, "all", numbers, lists, and the border of an object and its place."""

from collections.abc import Iterable
from dataclasses import dataclass

from molmo_point.commands.steps import MOST_REPEATS, Relation
from molmo_point.commands.vocabulary import (
    ANY_OBJECT,
    ARTICLES,
    EVERY,
    EVERYTHING,
    NUMBERS,
    OTHER_PLACES,
    OWNERS,
    PRONOUNS,
    RELATIONS,
    SIDES,
    SURFACES,
    UNITS,
    WORKTOPS,
)

Words = tuple[str, ...]


@dataclass(frozen=True)
class NamedObject:
    """An object, as named in a clause.

    Attributes:
        name: Name without article; "" for a pronoun ("it"), `ANY_OBJECT` for everything.
        every: True if all matching objects are meant.
        repeats: Number of objects wanted.
    """

    name: str
    every: bool = False
    repeats: int = 1


@dataclass(frozen=True)
class Split:
    """A clause, divided into objects, a relation and a place."""

    objects: Words
    relation: Relation
    place: Words


def lower(words: Words) -> Words:
    """Words in lower case."""
    return tuple(word.lower() for word in words)


def begins(words: Words, phrases: Iterable[Words]) -> int:
    """Number of words of the longest phrase that words begin with; 0 without one."""
    return max((len(phrase) for phrase in phrases if lower(words[: len(phrase)]) == phrase), default=0)


def strip_start(words: Words, starts: tuple[Words, ...]) -> Words:
    """Remove `starts` from the start of words, repeatedly; never all of them."""
    while 0 < (hit := begins(words, starts)) < len(words):
        words = words[hit:]
    return words


def strip_end(words: Words, ends: tuple[Words, ...]) -> Words:
    """Remove `ends` from the end of words, repeatedly; never all of them."""
    while 0 < (hit := max((len(end) for end in ends if lower(words[-len(end) :]) == end), default=0)) < len(words):
        words = words[:-hit]
    return words


def is_polite(words: Words, phrases: tuple[Words, ...]) -> bool:
    """True if the words are only polite phrases and commas."""
    while words and (hit := begins(words, (*phrases, (",",)))):
        words = words[hit:]
    return not words


def without_article(words: Words) -> Words:
    """Remove articles from the start of words; a lone article or pronoun stays."""
    while len(words) > 1 and words[0].lower() in ARTICLES:
        words = words[1:]
    return words


def read_objects(words: Words) -> list[NamedObject]:
    """Read the objects of a list such as "the red cube, two screws and all the nuts"; empty for no words.

    "and" and commas divide objects only before an article, a number or "all": "salt and pepper mill" is one object.
    """
    parts: list[list[str]] = [[]]
    for index, word in enumerate(words):
        if word.lower() in ("and", ",") and index + 1 < len(words):
            following = words[index + 1].lower()
            if following in ("and", ","):
                continue
            if parts[-1] and (following in ARTICLES | EVERY or _number(words[index + 1 :]) or following in PRONOUNS):
                parts.append([])
                continue
        if word != ",":
            parts[-1].append(word)
    return [_object(tuple(part)) for part in parts if part]


def _object(words: Words) -> NamedObject:
    if " ".join(lower(words)) in EVERYTHING:
        return NamedObject(ANY_OBJECT, every=True)
    if " ".join(lower(words)) in PRONOUNS:
        return NamedObject("")
    every = words[0].lower() in EVERY
    if every and len(words) > 1:
        words = words[1:]
        words = words[1:] if words[0].lower() == "of" and len(words) > 1 else words
    owner, words = _owner(words)
    repeats = _number(words) if len(words) > 1 else 0
    if repeats:
        inner, words = _owner(words[2:] if lower(words[1:2]) == ("of",) and len(words) > 2 else words[1:])
        owner = owner or inner
    return NamedObject(" ".join((*owner, *words)), every=every, repeats=1 if every else max(repeats, 1))


def _owner(words: Words) -> tuple[Words, Words]:
    """Divide words into their owner, "my" in "the my mug", or (), and the rest without articles."""
    rest = without_article(words)
    dropped = lower(words[: len(words) - len(rest)])
    return tuple(word for word in dropped if word in OWNERS)[-1:], rest


def _number(words: Words) -> int:
    """Number in the first word; 0 if it is no number, or the number belongs to the object."""
    word, following = (*lower(words[:2]), "", "")[:2]
    if following in UNITS:
        return 0
    if word.isascii() and word.isdigit():
        return int(word) if len(word) < 3 and 1 <= int(word) <= MOST_REPEATS else 0
    return NUMBERS.get(word, 0)


def splits(words: Words) -> list[Split]:
    """Find all divisions of words into objects, a relation and a place; empty without a relation."""
    found, index, small = [], 1, lower(words)
    while index < len(words):
        end = index + begins(words[index:], RELATIONS)
        if index < end < len(words) and not begins(words[index:], OTHER_PLACES):
            relation = RELATIONS[small[index:end]]
            if not _is_side(relation, small[end:]):
                found.append(Split(words[:index], relation, words[end:]))
        index = max(end, index + 1)
    return found


def _is_side(relation: Relation, place: Words) -> bool:
    """True for "on the left", "in the back": parts of an object's name."""
    bare = without_article(place)
    return (
        relation is not Relation.NEXT_TO
        and bare[0] in SIDES
        and (len(bare) == 1 or bare[1] in ("in", "on", "next", "into", "of"))
    )


def is_surface(words: Words) -> bool:
    """True if the words mean the arm's surface: "the table"."""
    return " ".join(lower(without_article(words))) in SURFACES


def is_worktop(words: Words) -> bool:
    """True if the words mean a surface with any free place."""
    return " ".join(lower(without_article(words))) in WORKTOPS


def without_surface(words: Words) -> Words:
    """Remove "from the table", "off the table" from the end of words."""
    small = lower(words)
    for index in range(1, len(words) - 1):
        after = index + 2 if small[index : index + 2] in (("off", "of"), ("out", "of")) else index + 1
        if small[index] in ("from", "off", "out") and is_surface(words[after:]):
            return words[:index]
    return words
