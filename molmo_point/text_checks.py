"""Checks of words, lengths, and times that callers pass in; `printable` makes text safe to print."""

from unicodedata import category

from molmo_point.errors import InputError
from molmo_point.errors import printable as printable

MAX_QUERY_LENGTH = 1000
MAX_QUESTION_LENGTH = 4000
MAX_ANSWER_TOKENS = 512


def checked_words(words: object, name: str = "query", *, longest: int = MAX_QUERY_LENGTH, breaks: str = "") -> str:
    """Strip the blanks around a text and refuse what no model should read.

    Args:
        words: The text.
        name: Name of the argument, for the error.
        longest: Most characters.
        breaks: Control characters that are allowed.

    Raises:
        InputError: The text is empty, too long, or has control characters.
    """
    if not isinstance(words, str) or not words.strip():
        raise InputError(f"{name} must not be empty", repr(words), "pass words, e.g. 'the red mug'")
    if len(words) > longest:
        raise InputError(f"{name} must have at most {longest} characters", f"{len(words)} characters", "shorten it")
    if not all(character.isprintable() or character in breaks or category(character) == "Zs" for character in words):
        raise InputError(f"{name} must have no control characters", repr(words[:80]), "remove line breaks and control characters")
    return words.strip()


def checked_question(question: object) -> str:
    """Check a free question; line breaks inside it are kept.

    Raises:
        InputError: The question is empty, longer than 4000 characters, or has other control characters.
    """
    return checked_words(question, "question", longest=MAX_QUESTION_LENGTH, breaks="\n")


def checked_count(name: str, value: object, example: int) -> int:
    """Check a whole number above zero.

    Raises:
        InputError: The value is not a whole number above zero.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} must be a whole number above zero", repr(value), f"e.g. {example}")
    return value


def checked_seconds(name: str, value: object) -> float:
    """Check a duration in seconds.

    Raises:
        InputError: The value is not a number above zero.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise InputError(f"{name} must be a number of seconds above zero", repr(value), "e.g. 0.5")
    return float(value)
