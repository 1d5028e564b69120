"""What a user asks for, checked before a model sees it; needs no torch."""

from molmo_point.errors import InputError

MAX_QUERY_LENGTH = 1000
MAX_QUESTION_LENGTH = 4000
MAX_POINTS = 40
MAX_ANSWER_TOKENS = 512


def checked_query(query: str, max_points: int) -> str:
    """What to point at, without the blanks around it.

    Raises:
        InputError: It is empty, longer than 1000 characters or has control characters, or
            ``max_points`` is no whole number above zero.
    """
    query = _printable(query, "query", "say what to point at, e.g. 'the red mug'", MAX_QUERY_LENGTH)
    _check_positive("max_points", max_points, MAX_POINTS)
    return query


def checked_question(question: str, max_new_tokens: int) -> str:
    """A question without the blanks around it; line breaks inside it are kept.

    Raises:
        InputError: It is empty, longer than 4000 characters or has other control characters, or
            ``max_new_tokens`` is no whole number above zero.
    """
    example = "ask something, e.g. 'What is on the table?'"
    question = _printable(question, "question", example, MAX_QUESTION_LENGTH, breaks="\n")
    checked_length(max_new_tokens)
    return question


def checked_length(max_new_tokens: int) -> int:
    """The longest answer in tokens.

    Raises:
        InputError: It is no whole number above zero.
    """
    _check_positive("max_new_tokens", max_new_tokens, MAX_ANSWER_TOKENS)
    return max_new_tokens


def checked_seconds(name: str, value: float) -> float:
    """A time in seconds.

    Raises:
        InputError: It is no number above zero.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise InputError(f"{name} must be a number of seconds above zero", repr(value), "e.g. 0.5")
    return float(value)


def _printable(text: str, name: str, example: str, longest: int, breaks: str = "") -> str:
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"The {name} is empty", repr(text), example)
    if len(text) > longest:
        raise InputError(f"The {name} is too long", f"{len(text)} characters", f"use at most {longest} characters")
    if not all(character.isprintable() or character in breaks for character in text):
        raise InputError(f"The {name} has control characters", repr(text[:80]), "remove line breaks and control characters")
    return text.strip()


def _check_positive(name: str, value: int, example: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} must be a whole number above zero", repr(value), f"e.g. {example}")
