"""Statements of an answer in words: counts, absence, and announcements of more."""

import re
from collections.abc import Iterator

from molmo_point.points.dialects.molmo import PAIR, TENTHS
from molmo_point.points.dialects.molmopoint import TOKEN
from molmo_point.points.tags import TAG_START

_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_NUMBER_WORDS = {word: number for number, word in enumerate(_WORDS)} | {"none": 0}
_TOTAL = re.compile(r"\ba total of\s{1,8}([0-9]{1,9}|[a-z]{2,10})\b", re.IGNORECASE)
_COUNTING = re.compile(r"\bcounting the\b", re.IGNORECASE)
_ABSENT = re.compile(
    r"\bthere\s{1,8}(?:are|is)\s{1,8}(?:none|no)\b"
    r"|\bno\s{1,8}tracks?\s{1,8}available\b"
    r"|\b(?:is|are)(?:n['’]t|\s{1,8}not)\s{1,8}(?:any\b|in\s{1,8}the\s{1,8}(?:image|picture|photo)\b)"
    r"|^\W{0,8}none\W{0,8}$",
    re.IGNORECASE,
)
_THERE_ARE = re.compile(
    r"\bthere\s{1,8}(?:are|is)\s{1,8}(?:(?:only|just|exactly)\s{1,8})?([0-9]{1,9}|[a-z]{3,10})\b(?![.,][0-9])", re.IGNORECASE
)
_NUMBER = re.compile(r"(?<![\w.,/-])(?:[0-9]{1,9}|[a-z]{3,10})(?![\w/%-]|[.,][0-9])", re.IGNORECASE)
_LAST_WORD = re.compile(r"(?:^|[\s:=(\"'*])([0-9]{1,9}|[a-z]{3,10})[.!*\"')\s]{0,8}$", re.IGNORECASE)
_UNFINISHED = re.compile(r"<[/\w]{0,16}$")


def stated_count(text: str) -> int | None:
    """Return the number of objects that the text states; None without a number, or with several.

    In this order: N of the last "a total of N"; N of "There are N"; a number that is the last word.
    The latter two outside tags only, and only where no other number stands in the text. "one" is a
    number after "There is", or as the whole text, but not at the end of "the red one".
    """
    stated = None
    for match in _TOTAL.finditer(text):
        number = _number(match[1])
        stated = stated if number is None else number
    if stated is not None:
        return stated
    prose = _prose(text)
    found = [_number(match[1]) for match in _THERE_ARE.finditer(prose)]
    last = _LAST_WORD.search(prose[-40:])
    alone = last is not None and len(last[0].strip()) == len(prose)
    if not found and last and (alone or last[1].lower() != "one"):
        found = [_number(last[1])]
    numbers = {number for number in found if number is not None}
    others = {_number(match[0]) for match in _NUMBER.finditer(prose) if match[0].lower() not in ("one", "none")}
    return numbers.pop() if len(numbers) == 1 and others - {None} <= numbers else None


def says_none(text: str) -> bool:
    """Tell whether the text denies the object."""
    return _ABSENT.search(text) is not None


def ends_early(text: str) -> bool:
    """Tell whether the text stops inside a tag's name or before the total that it announces."""
    if _UNFINISHED.search(text[-24:]):
        return True
    return _COUNTING.search(text) is not None and stated_count(text) is None


def _number(word: str) -> int | None:
    return int(word) if word[0] in "0123456789" else _NUMBER_WORDS.get(word.lower())


def _prose(text: str) -> str:
    """Return the text without tags, their contents, and coordinates in older forms."""
    prose = " ".join(_outside_tags(text))
    for coordinates in (PAIR, TENTHS, TOKEN):
        prose = coordinates.sub("<>", prose)
    return prose.strip()


def _outside_tags(text: str) -> Iterator[str]:
    position, inside = 0, False
    for tag in TAG_START.finditer(text):
        if not inside:
            yield text[position : tag.start()]
        end = text.find(">", tag.end())
        if end < 0:
            return
        inside = not tag[1] and text[end - 1] != "/"
        position = end + 1
    if not inside:
        yield text[position:]
