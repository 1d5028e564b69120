"""Checks of words, lengths, and times that callers pass in, and text that is safe to print."""

import re
from unicodedata import category

from molmo_point.errors import InputError

MAX_QUERY_LENGTH = 1000
MAX_QUESTION_LENGTH = 4000
MAX_ANSWER_TOKENS = 512

_UNSAFE = re.compile(
    # Controls, marks of direction, invisible letters, separators of lines, halves of letters, tags.
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str, keep: str = "") -> str:
    r"""Replace what a terminal or a log would obey instead of showing it.

    Control characters, escape sequences, line breaks, marks of direction and invisible letters become `\uXXXX`, a form
    that is valid inside the strings of JSON.

    Args:
        text: Text that may come from files, messages or a model.
        keep: Control characters that stay, e.g. line breaks.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(lambda match: match[0] if match[0] in keep else _escaped(match[0]), text)


def _escaped(letter: str) -> str:
    halves = letter.encode("utf-16-be", "surrogatepass")
    return _SHORT.get(letter) or "".join(rf"\u{halves[k]:02x}{halves[k + 1]:02x}" for k in range(0, len(halves), 2))


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
