"""Names of taught objects: their check, and the keys under which a query finds them."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from molmo_point.errors import InputError
from molmo_point.points.parse import parse_answer
from molmo_point.query_words import named_objects, tidy_words
from molmo_point.text_checks import checked_words
from molmo_point.trust.label_rule import content_words, singular

MAX_NAME_LENGTH = 80
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_ARTICLES = frozenset(("the", "a", "an", "this", "that", "these", "those"))
_OWNERS = frozenset(("my", "your", "our", "his", "her", "their", "its"))
_LEAST_LIKENESS = 0.8
NameKey = tuple[str, ...]


def checked_name(name: object, role: str = "name") -> str:
    """Return a name of an object without blanks around it.

    Args:
        name: The name, an alias, or a category.
        role: Its role, for the error.

    Raises:
        InputError: It is empty or too long, has control characters or no word with a meaning, or no answer can carry it.
    """
    text = " ".join(checked_words(name, role, longest=MAX_NAME_LENGTH).split())
    if not content_words(text.replace("_", " ")) or not name_key(text):
        raise InputError(f"{role} must have a word with a meaning", repr(text), "e.g. 'my mug'")
    read = parse_answer(f' <point x="5.0" y="5.0" alt="{text}">{text}</point>', (100, 100))
    if read.problems or [point.label for point in read.points] != [text]:
        fix = "use letters, digits and blanks, without < > and quotes"
        raise InputError(f"{role} must be one that an answer can carry", repr(text), fix)
    return text


def name_key(words: str) -> NameKey:
    """Return the key of a name: its words in lower case, without articles in front."""
    tokens = _TOKEN.findall(tidy_words(words).casefold().replace("’", "'"))
    while len(tokens) > 1 and tokens[0] in _ARTICLES:
        del tokens[0]
    return tuple(tokens)


def loose_key(key: NameKey) -> NameKey:
    """Return a key with every word in the singular."""
    return tuple(singular(token) for token in key)


def query_keys(words: str) -> tuple[NameKey, ...]:
    """Return the keys that a query may have: as it is, and without the request around it."""
    return tuple(dict.fromkeys((name_key(words), name_key(named_objects(words, owners=True)))))


def nearest_name(words: str, names: Iterable[str]) -> str:
    """Return the first name that a query may have meant: it differs in the owner or in a few letters; empty without one."""
    asked, names = loose_key(name_key(named_objects(words, owners=True))), tuple(names)[::-1]
    for form in (without_owner, loose_key):
        texts = {" ".join(form(loose_key(name_key(name)))): name for name in names}
        text = " ".join(form(asked))
        near = [text] if text in texts else get_close_matches(text, texts, 1, _LEAST_LIKENESS)
        if near:
            return texts[near[0]]
    return ""


def without_owner(key: NameKey) -> NameKey:
    """Return a key without "my", "your" and the like in front."""
    return key[1:] if len(key) > 1 and key[0] in _OWNERS else key
