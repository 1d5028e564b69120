"""Read the points out of what Molmo v1 writes.

Forms: ``<point x="61.5" y="40.4" alt="dog">dog</point>``, ``<points x1= y1= x2= y2= ...>``, several
tags in prose, ``Counting the <points ...>dog</points> shows a total of 2.``, ``There are none.``,
and the older ``Click(10.5, 20.5)``, ``(10.5, 20.5)``, ``p=123, 456`` and ``1=123, 456``.

Numbers are percent of the image measured from its edges, so u = x / 100 * width - 0.5, and x = 100
is the right edge of the last pixel. Differences from the official parser, all deliberate:

- ``Click(x, y)`` is one point (officially it counts twice);
- single quotes, any order of attributes and, inside a tag, numbers without quotes are read;
- x and y pair by their index, not by standing side by side;
- points come in the order of the text (officially one form after the other);
- the half-pixel convention above (officially x / 100 * width);
- a point that repeats another exactly is dropped, out-of-range values are dropped, and both are
  reported in `ParsedAnswer.problems`;
- pairs in parentheses are ignored inside tags and labels.

The work is linear in the length of the text, whatever the text is.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from molmo_point.errors import InputError
from molmo_point.results import ImagePoint

Span = tuple[int, int]

# Every repetition is bounded or runs over a class that cannot match what follows it.
_TAG = re.compile(r"<points?(?=[\s>/]|$)([^<>]*)(>?)([^<]*)", re.IGNORECASE)
_CLOSING = re.compile(r"</points?\s{0,8}>", re.IGNORECASE)
_NUMBER = r"[-+]?(?:\d{1,9}(?:\.\d{0,12})?|\.\d{1,12})"
_ATTRIBUTE = re.compile(
    r"(?<![\w.])([xy])(\d{0,6})\s{0,8}=\s{0,8}"
    rf"(?:\"\s{{0,8}}({_NUMBER})\s{{0,8}}\"|'\s{{0,8}}({_NUMBER})\s{{0,8}}'|({_NUMBER})(?=[\s/]))",
    re.IGNORECASE,
)
_ATTRIBUTE_START = re.compile(r"(?<![\w.])[xy]\d{0,6}\s{0,8}=", re.IGNORECASE)
_TENTHS = re.compile(r"(?<![\w.])(p|\d{1,4})\s{0,8}=\s{0,8}[\"']?(\d{3}),\s{0,8}(\d{3})(?![\d.])", re.IGNORECASE)
_PAIR = re.compile(r"\(\s{0,8}(\d{1,9}\.\d),\s{0,8}(\d{1,9}\.\d)\s{0,8}\)")
_ALT = re.compile(r"(?<![\w.])alt\s{0,8}=\s{0,8}([\"'])", re.IGNORECASE)
_NEXT_ATTRIBUTE = re.compile(r"\s{0,8}(?:$|/|[a-z]{1,8}\d{0,6}\s{0,8}=)", re.IGNORECASE)
_TOTAL = re.compile(r"\ba total of\s{1,8}(\d{1,9}|[a-z]{2,10})\b", re.IGNORECASE)
_COUNTING = re.compile(r"\bcounting the\b", re.IGNORECASE)
_UNFINISHED = re.compile(r"<[/\w]{0,8}$")
_ABSENT = re.compile(
    r"\bthere\s{1,8}(?:are|is)\s{1,8}(?:none|no)\b"
    r"|\b(?:is|are)(?:n['’]t|\s{1,8}not)\s{1,8}(?:any\b|in\s{1,8}the\s{1,8}(?:image|picture|photo)\b)"
    r"|^\W{0,8}none\W{0,8}$",
    re.IGNORECASE,
)
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_NUMBER_WORDS = {word: number for number, word in enumerate(_WORDS)} | {"none": 0}


@dataclass(frozen=True)
class ParsedAnswer:
    """What an answer says.

    Attributes:
        points: The points in the order of the text, repeats dropped.
        absent: True when there are no points because the text says that there is nothing.
        stated_count: N of "a total of N"; 0 when absent; None when no number is stated.
        problems: What could not be used, in words; empty when all could.
        truncated: True when the text stops inside a tag or before the total it announces.
        spans: For each point the (start, end) of its x and of its y number in the text.
    """

    points: tuple[ImagePoint, ...]
    absent: bool
    stated_count: int | None
    problems: tuple[str, ...]
    truncated: bool
    spans: tuple[tuple[Span, Span], ...] = ()


@dataclass(frozen=True)
class _Found:
    """A coordinate pair in percent, and where its numbers stand in the text."""

    x: float
    y: float
    x_span: Span
    y_span: Span
    label: str = ""
    index: int | None = None


class _Problems:
    """Counts problems by kind, so that a megabyte of garbage gives a handful of messages."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, example: str = "") -> None:
        count, first = self._kinds.get(kind, (0, example[:60]))
        self._kinds[kind] = (count + 1, first)

    def messages(self) -> tuple[str, ...]:
        return tuple(
            kind + (f" ({count} times)" if count > 1 else "") + (f": {first}" if first else "")
            for kind, (count, first) in self._kinds.items()
        )


def parse_points(text: str, size_wh: tuple[int, int]) -> tuple[ImagePoint, ...]:
    """The points of an answer, in pixels; empty when there are none.

    Args:
        text: What the model wrote, complete or not.
        size_wh: Width and height in pixels of the image that the model saw.

    Raises:
        InputError: If `text` is not a string or the size is not above zero.
    """
    return parse_answer(text, size_wh).points


def parse_answer(text: str, size_wh: tuple[int, int]) -> ParsedAnswer:
    """Everything that an answer says: points, absence, the stated count, and what went wrong.

    Args:
        text: What the model wrote, complete or not.
        size_wh: Width and height in pixels of the image that the model saw.

    Raises:
        InputError: If `text` is not a string or the size is not above zero.
    """
    width, height = _checked(text, size_wh)
    problems = _Problems()
    points: list[ImagePoint] = []
    spans: list[tuple[Span, Span]] = []
    seen: set[tuple[float, float, str]] = set()
    tags = list(_TAG.finditer(text))
    for found in _find(text, tags, problems):
        if not (0 <= found.x <= 100 and 0 <= found.y <= 100):
            problems.add("a point is outside 0 to 100 percent", f"x={found.x:g} y={found.y:g}")
            continue
        key = (found.x, found.y, found.label)
        if key in seen:
            problems.add("a point repeats another", f"x={found.x:g} y={found.y:g}")
            continue
        seen.add(key)
        u, v = found.x / 100 * width - 0.5, found.y / 100 * height - 0.5
        points.append(ImagePoint(u, v, found.label, index=found.index))
        spans.append((found.x_span, found.y_span))
    stated = _stated_count(text)
    says_none = stated == 0 or (stated is None and _ABSENT.search(text) is not None)
    absent = says_none and not points
    if says_none and points:
        problems.add("the text says that there are none, but it has points")
    if not (points or absent or problems.messages()):
        problems.add("the answer is empty" if not text.strip() else "no points in the answer", text.strip())
    return ParsedAnswer(
        points=tuple(points),
        absent=absent,
        stated_count=0 if absent else stated,
        problems=problems.messages(),
        truncated=_is_truncated(text, tags, stated),
        spans=tuple(spans),
    )


def _find(text: str, tags: list[re.Match[str]], problems: _Problems) -> Iterator[_Found]:
    """All coordinate pairs in the order of the text: tags, and older forms between the tags."""
    position = 0
    for tag in tags:
        yield from _find_outside(text, position, tag.start())
        yield from _find_in_tag(tag, problems)
        position = tag.end()
    yield from _find_outside(text, position, len(text))


def _find_outside(text: str, start: int, end: int) -> Iterator[_Found]:
    matches = [*_PAIR.finditer(text, start, end), *_TENTHS.finditer(text, start, end)]
    for match in sorted(matches, key=re.Match.start):
        if match.re is _TENTHS:
            yield _tenths(match, 0, "")
        else:
            yield _Found(float(match[1]), float(match[2]), match.span(1), match.span(2))


def _find_in_tag(tag: re.Match[str], problems: _Problems) -> Iterator[_Found]:
    body, closed = tag[1], bool(tag[2])
    label, body = _split_label(body, tag[3] if closed else "")
    offset = tag.start(1)
    # A blank at the end lets a number without quotes end where a complete tag does.
    readable = body + " " if closed else body
    pending: dict[str, dict[str, re.Match[str]]] = {}
    read = 0
    for match in _ATTRIBUTE.finditer(readable):
        read += 1
        pair = pending.setdefault(match[2], {})
        pair[match[1].lower()] = match
        if len(pair) == 2:
            del pending[match[2]]
            yield _paired(pair["x"], pair["y"], offset, label)
    for match in _TENTHS.finditer(readable):
        yield _tenths(match, offset, label)
    if closed:
        for index in pending:
            problems.add("a coordinate has no partner", f"{'/'.join(pending[index])}{index}")
        if sum(1 for _ in _ATTRIBUTE_START.finditer(body)) > read:
            problems.add("a coordinate cannot be read", body.strip())


def _split_label(body: str, inner: str) -> tuple[str, str]:
    """The label of a tag, and its body with the alt text blanked out (same length).

    The label is the alt text, else the text inside the tag. Molmo does not escape quotes or
    ``>`` in it, so it ends at a quote that something sensible follows.
    """
    start = _ALT.search(body)
    if start is None:
        return inner.strip(), body
    quote = start[1]
    end = body.find(quote, start.end())
    while end >= 0 and not _NEXT_ATTRIBUTE.match(body, end + 1):
        end = body.find(quote, end + 1)
    if end >= 0:
        alt = body[start.end() : end]
        body = body[: start.start()] + " " * (end + 1 - start.start()) + body[end + 1 :]
    else:
        # A '>' in the label cut the tag short: its rest stands in the text up to quote and '>'.
        rest, found, inner_rest = inner.partition(quote + ">")
        alt = f"{body[start.end() :]}>{rest}" if found else ""
        inner = inner_rest if found else inner
        body = body[: start.start()] + " " * (len(body) - start.start())
    return alt.strip() or inner.strip(), body


def _paired(x: re.Match[str], y: re.Match[str], offset: int, label: str) -> _Found:
    group_x, group_y = x.lastindex or 3, y.lastindex or 3
    return _Found(
        x=float(x[group_x]),
        y=float(y[group_y]),
        x_span=(x.start(group_x) + offset, x.end(group_x) + offset),
        y_span=(y.start(group_y) + offset, y.end(group_y) + offset),
        label=label,
        index=int(x[2]) if x[2] else None,
    )


def _tenths(match: re.Match[str], offset: int, label: str) -> _Found:
    return _Found(
        x=int(match[2]) / 10,
        y=int(match[3]) / 10,
        x_span=(match.start(2) + offset, match.end(2) + offset),
        y_span=(match.start(3) + offset, match.end(3) + offset),
        label=label,
        index=None if match[1] in "pP" else int(match[1]),
    )


def _stated_count(text: str) -> int | None:
    stated = None
    for match in _TOTAL.finditer(text):
        word = match[1].lower()
        number = int(word) if word.isdigit() else _NUMBER_WORDS.get(word)
        stated = stated if number is None else number
    return stated


def _is_truncated(text: str, tags: list[re.Match[str]], stated: int | None) -> bool:
    if _UNFINISHED.search(text[-16:]):
        return True
    if tags:
        body, closed = tags[-1][1], bool(tags[-1][2])
        ended = body.endswith("/") or _CLOSING.match(text, tags[-1].end())
        if not (closed and ended):
            return True
    return stated is None and _COUNTING.search(text) is not None


def _checked(text: object, size_wh: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(text, str):
        raise InputError("The answer must be text", type(text).__name__, "give the model's text as str")
    try:
        width, height = size_wh
        good = all(math.isfinite(side) and side > 0 for side in (width, height))
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(
            "The image size must be a width and a height above zero",
            repr(size_wh),
            "give (width, height) in pixels, e.g. frame.size_wh",
        )
    return width, height
