"""Read the points out of what a model of the Molmo family writes.

Molmo v1 (`molmo_v1`): ``<point x="61.5" y="40.4" alt="dog">dog</point>``, ``<points x1= y1= x2= y2=
...>``, several tags in prose, ``Counting the <points ...>dog</points> shows a total of 2.``, ``There
are none.``, and the older ``Click(10.5, 20.5)``, ``(10.5, 20.5)``, ``p=123, 456`` and ``1=123, 456``.
Molmo2 (`molmo2`): ``<points coords="1 1 555 169">dog</points>`` and ``<tracks ...>``. MolmoPoint
(`molmopoint`): ``<POINT_276><POINT_727><POINT_731>1``.

v1's numbers are percent of the image measured from its edges, so u = x / 100 * width - 0.5, and
x = 100 is the right edge of the last pixel; Molmo2's are thousandths likewise. Differences from the
official parser of v1, all deliberate:

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

import re
from collections.abc import Iterator, Sequence

from molmo_point.errors import InputError
from molmo_point.points.answer import TAG_START, Found, ParsedAnswer, Problems, Size, checked_sizes, checked_text
from molmo_point.points.dialects import molmo as molmo_v1
from molmo_point.points.dialects import molmo2, molmopoint, prose
from molmo_point.points.dialects.molmopoint import PointTokenLayout
from molmo_point.points.pixel_points import Collector, Find
from molmo_point.results import ImagePoint

__all__ = ["FAMILIES", "ParsedAnswer", "PointTokenLayout", "parse_answer", "parse_points"]

FAMILIES = ("molmo", "molmo2", "molmopoint", "auto")
"""Dialects; "auto" takes the one that the text shows first, and Molmo v1 where it shows none."""

_MOLMO2_TAG = re.compile(r"<(?:points?|tracks?)\s[^<>]*?\bcoords\s{0,8}=\s{0,8}[\"'][^<]", re.IGNORECASE)


def parse_points(
    text: str,
    size_wh: Size | Sequence[Size] | None,
    family: str = "molmo",
    *,
    layout: PointTokenLayout | None = None,
) -> tuple[ImagePoint, ...]:
    """The points of an answer, in pixels; empty when there are none. Arguments and errors as `parse_answer`."""
    return parse_answer(text, size_wh, family, layout=layout).points


def parse_answer(
    text: str,
    size_wh: Size | Sequence[Size] | None,
    family: str = "molmo",
    *,
    layout: PointTokenLayout | None = None,
) -> ParsedAnswer:
    """Everything that an answer says: points, absence, the stated count, and what went wrong.

    Args:
        text: What the model wrote, complete or not.
        size_wh: Width and height in pixels of the image that the model saw, or one pair for each of
            several images; of a video that of its frames. With a `layout` None takes its sizes.
        family: "molmo", "molmo2", "molmopoint", or "auto" to tell from the text.
        layout: Where MolmoPoint's tokens lie; needed for its points, else unused.

    Raises:
        InputError: If `text` is not a string, a size is not above zero, the family is unknown, or
            MolmoPoint's layout is missing or is of other images.
    """
    text, sizes = checked_text(text), sizes_of(size_wh, family, layout)
    family = dialect(text, layout) or "molmo" if family == "auto" else family
    collector = Collector(sizes)
    collector.read(reader(family, layout), text)
    points, problems = collector.points, collector.problems
    stated = prose.stated_count(text)
    says_none = stated == 0 or (stated is None and prose.says_none(text))
    absent = says_none and not points
    if says_none and points:
        problems.add("the text says that there are none, but it has points")
    if not (points or absent or problems.messages()):
        problems.add("the answer is empty" if not text.strip() else "no points in the answer", text.strip())
    cut_off = molmo_v1.is_cut_off(text) if family == "molmo" else prose.ends_in_tag(text)
    return ParsedAnswer(
        points=tuple(points),
        absent=absent,
        stated_count=0 if absent else stated,
        problems=problems.messages(),
        truncated=cut_off or prose.ends_early(text),
        spans=tuple(collector.spans),
        family=family,
    )


def sizes_of(size_wh: object, family: str, layout: PointTokenLayout | None) -> tuple[Size, ...]:
    """The sizes of all images, after checking that they, the family and the layout go together.

    Raises:
        InputError: When they do not.
    """
    if family not in FAMILIES:
        raise InputError("The model family is unknown", repr(family), f"use one of {', '.join(FAMILIES)}")
    if layout is None:
        if family == "molmopoint":
            raise InputError(
                "MolmoPoint's tokens say nothing without the layout of its images",
                "no layout",
                "give layout=PointTokenLayout.from_metadata(what the processor returned as pointing metadata)",
            )
        return checked_sizes(size_wh)
    sizes = checked_sizes(layout.image_sizes if size_wh is None else size_wh)
    if len(sizes) != len(layout.image_sizes) and family == "molmopoint":
        raise InputError(
            "The layout is of other images", f"{len(layout.image_sizes)} in it, {len(sizes)} sizes", "give a size for each image"
        )
    return sizes


def reader(family: str, layout: PointTokenLayout | None) -> Find:
    """The reader of a dialect; of MolmoPoint without a layout one that finds nothing and says why."""
    if family != "molmopoint":
        return molmo2.find_points if family == "molmo2" else molmo_v1.find_points

    def find(text: str, problems: Problems, *, growing: bool = False) -> Iterator[Found]:
        if layout is not None:
            yield from molmopoint.find_points(text, problems, layout, growing=growing)
        else:
            problems.add("point tokens cannot be placed without the layout of the images")

    return find


def dialect(text: str, layout: PointTokenLayout | None = None, *, growing: bool = False) -> str | None:
    """The dialect that a text shows first, by a point, a point token, or a tag of Molmo2; None while it shows none."""
    shown: list[tuple[int, str]] = []
    for family in ("molmo", "molmo2"):
        found = next(reader(family, layout)(text, Problems(), growing=growing), None)
        if found is not None:
            shown.append((max(found.x_span[1], found.y_span[1]), family))
    for mark, family in ((_MOLMO2_TAG, "molmo2"), (molmopoint.TOKEN, "molmopoint")):
        match = mark.search(text)
        if match is not None:
            shown.append((match.end(), family))
    return min(shown)[1] if shown else None


def last_tag(text: str) -> re.Match[str] | None:
    """The last complete name of a tag: what precedes it cannot be changed by more text."""
    last = None
    for tag in TAG_START.finditer(text):
        last = tag if tag.end() < len(text) else last
    return last
