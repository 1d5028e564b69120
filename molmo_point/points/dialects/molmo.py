"""Dialect of Molmo v1; docs/models.md lists the forms and conventions.

The text between two ``<`` is read separately, in linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from molmo_point.points.answer import CoordinatePair, Problems
from molmo_point.points.dialects.dialect import Dialect

# Every repetition is bounded or runs over a class that cannot match what follows it.
_TAG = re.compile(r"<points?(?=[\s>/]|$)([^<>]*)(>?)([^<]*)", re.IGNORECASE)
_CLOSING = re.compile(r"</points?\s{0,8}>", re.IGNORECASE)
_NUMBER = r"[-+]?(?:[0-9]{1,9}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})"
_ATTRIBUTE = re.compile(
    r"(?<![\w.:@-])([xy])([0-9]{0,6})\s{0,8}=\s{0,8}"
    rf"(?:\"\s{{0,8}}({_NUMBER})\s{{0,8}}\"|'\s{{0,8}}({_NUMBER})\s{{0,8}}'|({_NUMBER})(?=[\s/]))",
    re.IGNORECASE,
)
_ATTRIBUTE_START = re.compile(r"(?<![\w.:@-])[xy][0-9]*\s{0,8}=", re.IGNORECASE)
_COORDS = re.compile(r"(?<![\w.:@-])coords\s{0,8}=", re.IGNORECASE)
TENTHS = re.compile(r"(?<![\w.:@-])(p|[0-9]{1,4})\s{0,8}=\s{0,8}[\"']?([0-9]{3}),\s{0,8}([0-9]{3})(?![\d.])", re.IGNORECASE)
PAIR = re.compile(r"\(\s{0,8}([0-9]{1,9}\.[0-9]),\s{0,8}([0-9]{1,9}\.[0-9])\s{0,8}\)")
_ALT = re.compile(r"(?<![\w.:@-])alt\s{0,8}=\s{0,8}([\"'])", re.IGNORECASE)
_NEXT_ATTRIBUTE = re.compile(r"\s{0,8}(?:$|/|[a-z]{1,8}[0-9]{0,6}\s{0,8}=)", re.IGNORECASE)
# After its coordinates a tag has only labels; a single point has only one pair.
_COORDINATES_OUT = re.compile(r'<points[^<>]* alt|<points[^<>]*>|<point [^<>]*?y="\d{1,3}\.\d', re.IGNORECASE)
_LABEL = re.compile(r""" alt=(?:"[^"<>]*"|'[^'<>]*')""", re.IGNORECASE)
_ONE_DECIMAL = re.compile(r' y\d{0,6}="\d{1,3}\.\d$')


class Molmo(Dialect):
    """Tags with percentages of the image, as Molmo v1 writes them."""

    name = "molmo"

    def find_points(self, text: str, problems: Problems, *, growing: bool = False) -> Iterator[CoordinatePair]:
        position = 0
        for tag in _TAG.finditer(text):
            yield from _find_outside(text, position, tag.start(), growing)
            yield from _find_in_tag(text, tag, problems, growing)
            position = tag.end()
        yield from _find_outside(text, position, len(text), growing)

    def is_cut_off(self, text: str) -> bool:
        tag = None
        for tag in _TAG.finditer(text):  # noqa: B007 (the last one is wanted)
            pass
        return tag is not None and not (tag[2] and (tag[1].endswith("/") or _CLOSING.match(text, tag.end())))

    def has_all_coordinates(self, text: str) -> bool:
        return _COORDINATES_OUT.search(text, max(0, text.rfind("<point"))) is not None

    def awaits_label(self, text: str) -> bool:
        tag = max(0, text.rfind("<point"))
        return self.is_cut_off(text) and _LABEL.search(text, tag) is None

    def closed(self, text: str) -> str:
        # The released models always write one decimal, so the quote follows it.
        return text + '"' if _ONE_DECIMAL.search(text, max(0, len(text) - 24)) else text


def _find_outside(text: str, start: int, end: int, growing: bool) -> Iterator[CoordinatePair]:
    matches = [*PAIR.finditer(text, start, end), *TENTHS.finditer(text, start, end)]
    for match in sorted(matches, key=re.Match.start):
        if match.re is PAIR:
            yield CoordinatePair(float(match[1]), float(match[2]), match.span(1), match.span(2))
        elif not (growing and match.end() == len(text)):
            yield _tenths(match)


def _find_in_tag(text: str, tag: re.Match[str], problems: Problems, growing: bool) -> Iterator[CoordinatePair]:
    body, closed = tag[1], bool(tag[2])
    label, body = _split_label(body, tag[3] if closed else "")
    offset, settled = tag.start(1), tag.end() < len(text)
    # A blank at the end lets a number without quotes end at the end of a complete tag.
    readable = body + " " if closed else body
    pairs = _Pairs(problems)
    matches = [*_ATTRIBUTE.finditer(readable), *TENTHS.finditer(readable)]
    for match in sorted(matches, key=re.Match.start):
        if match.re is TENTHS:
            if not (growing and match.end() + offset == len(text)):
                yield _tenths(match, offset, label, tag.start(), settled)
        elif (pair := pairs.take(match)) is not None:
            yield _pair(*pair, 1, match[2], offset, label, tag.start(), settled)
    pairs.report_rest(body, complete=closed or settled)


def find_thousandths(text: str, start: int, problems: Problems) -> Iterator[CoordinatePair]:
    """Yield the pairs of the Molmo v1 tag at ``start`` whose numbers are whole thousandths of the image."""
    tag = _TAG.match(text, start)
    if tag is None:
        return
    label, body = _split_label(tag[1], tag[3] if tag[2] else "")
    pairs = _Pairs(problems)
    for match in _ATTRIBUTE.finditer(body + " " if tag[2] else body):
        pair = pairs.take(match)
        if pair is None:
            continue
        if not all(number[group].isdecimal() for number, group in pair):
            problems.add("a coordinate is not in thousandths", " ".join(number[0] for number, _ in pair))
            continue
        found = _pair(*pair, 1, match[2], tag.start(1), label, start, tag.end() < len(text))
        yield replace(found, full=(1000.0, 1000.0))
    pairs.report_rest(body, complete=bool(tag[2]) or tag.end() < len(text))


def starts_with_axes(text: str, start: int) -> bool:
    """Tell whether the tag at ``start`` has x and y before any ``coords``."""
    tag = _TAG.match(text, start)
    body = "" if tag is None else _split_label(tag[1], "")[1]
    axis, coords = _ATTRIBUTE_START.search(body), _COORDS.search(body)
    return axis is not None and (coords is None or axis.start() < coords.start())


def has_coordinates(text: str, start: int, after: int) -> bool:
    """Tell whether the tag at ``start`` has x, y or ``coords`` at or behind ``after``, outside of its alt text."""
    tag = _TAG.match(text, start)
    body = "" if tag is None else _split_label(tag[1], "")[1]
    behind = 0 if tag is None else max(0, after - tag.start(1))
    return any(kind.search(body, behind) is not None for kind in (_ATTRIBUTE_START, _COORDS))


class _Pairs:
    """Collector of the x and y of a tag, by their number.

    A coordinate that comes twice before its partner makes no point. One that comes again after its pair cannot
    take a point back that was told, so it is only reported.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._open: dict[str, dict[str, re.Match[str]]] = {}
        self._unclear: set[str] = set()
        self._told: set[str] = set()
        self._read = 0

    def take(self, match: re.Match[str]) -> "tuple[_Number, _Number] | None":
        """Take a coordinate, and return the pair (x, y) that it completes."""
        self._read += 1
        axis, index = match[1].lower(), match[2]
        pair = self._open.setdefault(index, {})
        if axis in pair and float(_written(pair[axis])) != float(_written(match)):
            self._unclear.add(index)
        elif axis not in pair and not pair and index in self._told:
            self._problems.add("two points have one number", match[0], harmless=True)
        pair[axis] = match
        if len(pair) < 2:
            return None
        del self._open[index]
        self._told.add(index)
        if index in self._unclear:
            self._unclear.remove(index)
            self._problems.add("a coordinate is given twice, with different numbers", f"x{index} or y{index}")
            return None
        x, y = pair["x"], pair["y"]
        return (x, x.lastindex or 3), (y, y.lastindex or 3)

    def report_rest(self, body: str, *, complete: bool) -> None:
        """Report the coordinates that made no pair: those of another family, and in a complete tag all others."""
        if _COORDS.search(body):
            self._problems.add("a tag has the coordinates of another model family", body.strip())
        if not complete:
            return
        for index in self._open:
            self._problems.add("a coordinate has no partner", f"{'/'.join(self._open[index])}{index}")
        if sum(1 for _ in _ATTRIBUTE_START.finditer(body)) > self._read:
            self._problems.add("a coordinate cannot be read", body.strip())


def _written(match: re.Match[str]) -> str:
    return match[match.lastindex or 3]


def _split_label(body: str, inner: str) -> tuple[str, str]:
    """Find the label of a tag, and blank out the alt text in its body (same length).

    The label is the alt text, else the text inside the tag. Molmo does not escape quotes or ``>``
    in it. So it ends at a quote before an attribute or the end of the tag.
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
        # A '>' in the label cut the tag short: the rest is in the text up to quote and '>'.
        rest, found, inner_rest = inner.partition(quote + ">")
        alt = f"{body[start.end() :]}>{rest}" if found else ""
        inner = inner_rest if found else inner
        body = body[: start.start()] + " " * (len(body) - start.start())
    return alt.strip() or inner.strip(), body


_Number = tuple[re.Match[str], int]


def _tenths(match: re.Match[str], offset: int = 0, label: str = "", tag: int = -1, settled: bool = True) -> CoordinatePair:
    return _pair((match, 2), (match, 3), 10, match[1].strip("pP"), offset, label, tag, settled)


def _pair(
    x: _Number, y: _Number, per_percent: int, index: str, offset: int, label: str, tag: int, settled: bool
) -> CoordinatePair:
    """Join two numbers, each given as a match and its group."""
    values = [float(match[group]) / per_percent for match, group in (x, y)]
    spans = [(match.start(group) + offset, match.end(group) + offset) for match, group in (x, y)]
    number = int(index) if index else None
    return CoordinatePair(values[0], values[1], spans[0], spans[1], label, number, tag=tag, settled=settled)
