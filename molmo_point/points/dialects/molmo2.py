"""Dialect of Molmo2: points and tracks.

A group, e.g. ``1 1 555 169``, starts with the 1-based number of an image, or with a time in seconds that has a decimal
point; id, x and y of every point follow, in thousandths of the image. Stricter than the official parser, an id of three or
more digits must follow from the ids before it: otherwise a coordinate with a missing id would become an id.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from molmo_point.points.answer import CoordinatePair, Problems
from molmo_point.points.dialects.dialect import Dialect
from molmo_point.points.dialects.molmo import find_thousandths, has_coordinates, starts_with_axes
from molmo_point.points.tags import TAG_START

FULL = (1000.0, 1000.0)

_SPACE = r"\s{0,8}"
_COORDS = re.compile(rf"(?<![\w.:@-])coords{_SPACE}={_SPACE}([\"'])", re.IGNORECASE)
_ALT = re.compile(rf"(?<![\w.:@-])alt{_SPACE}={_SPACE}([\"'])", re.IGNORECASE)
_BEFORE_COORDS = re.compile(rf"/?>|{_SPACE}(?:coords{_SPACE}=|$)", re.IGNORECASE)
_BEFORE_END = re.compile(rf"{_SPACE}(?:/?>|$)")
_VALUE = re.compile(r"[^\"'<>]*")
_WORD = re.compile(r"[;:,\t\r\n]|[^\s;:,]+")
_HEAD = re.compile(r"[0-9]{1,6}(?:\.[0-9]{0,6})?")
_ID = re.compile(r"0|[1-9][0-9]{0,5}")
_COORDINATE = re.compile(r"[0-9]{3,4}")
_UNFINISHED = re.compile(r"<[/\w]{0,8}\s{0,8}$")
_COORDS_TAG = re.compile(r"<(?:points?|tracks?)\s[^<>]*?\bcoords\s{0,8}=\s{0,8}[\"'][^<]", re.IGNORECASE)


@dataclass(frozen=True)
class _Tag:
    """An opening tag: the place of its coordinates, and its label."""

    start: int
    kind: str
    values: tuple[int, int]
    ended: bool
    label: str
    settled: bool


class Molmo2(Dialect):
    """Tags with thousandths of the image, for several images and videos, as Molmo2 writes them."""

    name = "molmo2"
    full = FULL

    def find_points(self, text: str, problems: Problems, *, growing: bool = False) -> Iterator[CoordinatePair]:
        """Yield the pairs of ``coords``, and those of Molmo v1 tags with whole thousandths instead of percentages."""
        # A name at the end of the text may continue: <points could become <pointsman.
        starts = [start for start in TAG_START.finditer(text) if start.end() < len(text)]
        for number, start in enumerate(starts):
            if start[1]:
                continue
            last = number + 1 == len(starts)
            if starts_with_axes(text, start.start()):
                yield from find_thousandths(text, start.start(), problems)
                continue
            tag = _read_tag(text, start, len(text) if last else starts[number + 1].start(), last)
            if tag is not None:
                yield from _find_in_coords(text, tag, problems)
                if has_coordinates(text, tag.start, tag.values[1]):
                    problems.add("a tag has coordinates twice", text[tag.start : tag.start + 60])
            elif not (last and growing):
                problems.add("a tag has no coordinates", text[start.start() : start.start() + 60])

    def mark(self, text: str, *, growing: bool = False) -> int | None:
        found, tag = super().mark(text, growing=growing), _COORDS_TAG.search(text)
        places = [place for place in (found, tag and tag.end()) if place is not None]
        return min(places, default=None)


def _read_tag(text: str, start: re.Match[str], end: int, last: bool) -> _Tag | None:
    """Read the tag between a start and `end`; None if it has no coordinates yet."""
    alt, position, settled = "", start.end(), False
    named = _ALT.search(text, position, end)
    coords = _COORDS.search(text, position, end)
    if named and not (coords and coords.start() < named.start()) and not _closed_between(text, position, named.start()):
        close = _end_of_alt(text, named, end, _BEFORE_COORDS)
        if close < 0:
            return None
        alt, position, settled = text[named.end() : close], close + 1, True
        coords = _COORDS.search(text, position, end)
    if coords is None or _closed_between(text, position, coords.start()):
        return None
    values = _VALUE.match(text, coords.end(), end)
    stop = values.end() if values else coords.end()
    ended = stop < len(text)
    if not settled:
        alt, settled = _label_after(text, stop, end)
        settled = settled or not last
    return _Tag(start.start(), start[2].lower(), (coords.end(), stop), ended, alt.strip(), settled)


def _end_of_alt(text: str, named: re.Match[str], end: int, follows: re.Pattern[str]) -> int:
    """Find the quote that ends an alt text, -1 if it is open. Quotes within it are not escaped."""
    close = text.find(named[1], named.end(), end)
    while close >= 0 and not follows.match(text, close + 1, end):
        close = text.find(named[1], close + 1, end)
    return close


def _label_after(text: str, position: int, end: int) -> tuple[str, bool]:
    """Find the label after the coordinates, and True if it is a final alt text."""
    close = text.find(">", position, end)
    named = _ALT.search(text, position, end)
    if named and (close < 0 or named.start() < close):
        stop = _end_of_alt(text, named, end, _BEFORE_END)
        if stop >= 0 and text[named.end() : stop].strip():
            return text[named.end() : stop], stop + 1 < end
    inner = text[close + 1 : end] if close >= 0 else ""
    return _UNFINISHED.sub("", inner[-24:]) if len(inner) <= 24 else inner[:-24] + _UNFINISHED.sub("", inner[-24:]), False


def _closed_between(text: str, start: int, end: int) -> bool:
    return text.find(">", start, end) >= 0


def _find_in_coords(text: str, tag: _Tag, problems: Problems) -> Iterator[CoordinatePair]:
    start, stop = tag.values
    head: re.Match[str] | None = None
    skipping = False
    pending: list[re.Match[str]] = []
    largest, ids = 0, set[str]()
    for word in _WORD.finditer(text, start, stop):
        if word.end() == stop and not tag.ended:
            break
        if word[0] in ";:,\t\r\n":
            _report_rest(pending, problems)
            head, skipping, pending, ids = None, False, [], set()
        elif skipping:
            continue
        elif head is None:
            head, skipping = word, _HEAD.fullmatch(word[0]) is None
            if skipping:
                problems.add("a group of coordinates has no number", word[0])
        elif not _continues(pending, word[0], largest):
            problems.add("a coordinate cannot be read", " ".join(w[0] for w in (*pending, word)))
            pending = [word] if _is_small_id(word[0]) else []
        elif len(pending) < 2:
            pending.append(word)
        else:
            number = pending[0][0]
            largest = max(largest, int(number))
            if number in ids and not tag.kind.startswith("track"):
                problems.add("two points have one number", number, harmless=True)
            ids.add(number)
            yield from _point(tag, head[0], pending, word, problems)
            pending = []
    else:
        _report_rest(pending, problems)


def _continues(pending: list[re.Match[str]], word: str, largest: int) -> bool:
    """Test if a word can be the next of id, x, y."""
    if pending:
        return _COORDINATE.fullmatch(word) is not None
    return _ID.fullmatch(word) is not None and (len(word) <= 2 or int(word) <= largest + 10)


def _is_small_id(word: str) -> bool:
    # Coordinates have three digits or more, so after a broken point this is an id.
    return len(word) <= 2 and _ID.fullmatch(word) is not None


def _report_rest(pending: list[re.Match[str]], problems: Problems) -> None:
    if pending:
        problems.add("a coordinate has no partner", " ".join(word[0] for word in pending))


def _point(tag: _Tag, head: str, pending: list[re.Match[str]], y: re.Match[str], problems: Problems) -> Iterator[CoordinatePair]:
    number, x = pending
    followed = tag.kind.startswith("track")
    timed = followed or "." in head
    image_index = 0 if timed else int(head) - 1
    if image_index < 0:
        problems.add("images are numbered from 1", head)
        return
    yield CoordinatePair(
        x=int(x[0]),
        y=int(y[0]),
        x_span=x.span(),
        y_span=y.span(),
        label=tag.label,
        index=int(number[0]),
        full=FULL,
        image_index=image_index,
        time_s=float(head) if timed else math.nan,
        object_id=int(number[0]) if followed else None,
        tag=tag.start,
        settled=tag.settled,
        followed=followed,
    )
