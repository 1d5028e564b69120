"""Parser of complete answers: points in pixels, absence, the stated count, and problems.

The coordinates' units belong to the dialects (`molmo_point.points.dialects`). Pixels follow one
convention: (0, 0) is the center of the top-left pixel, so that a coordinate at a share s of the
width is at u = s * width - 0.5.

The forms of each dialect and the deliberate differences from the official parser are listed in docs/models.md.
The work is linear in the length of the text, whatever the text is.
"""

from collections.abc import Sequence

from molmo_point.errors import InputError
from molmo_point.points import prose
from molmo_point.points.answer import ParsedAnswer, Size, checked_sizes, checked_text
from molmo_point.points.dialects import DIALECTS, dialect_of
from molmo_point.points.dialects.dialect import Dialect
from molmo_point.points.dialects.molmopoint import MolmoPoint, PointTokenLayout
from molmo_point.points.pixel_points import Collector
from molmo_point.results import ImagePoint

__all__ = ["ParsedAnswer", "PointTokenLayout", "parse_answer", "parse_points"]

AUTO = "auto"
"""Name that takes the dialect that a text shows first, and Molmo v1 where it shows none."""
_TOLD_APART = ("molmo", "molmo2", "molmopoint")


def parse_points(
    text: str,
    size_wh: Size | Sequence[Size] | None,
    dialect: str | Dialect = "molmo",
    *,
    layout: PointTokenLayout | None = None,
) -> tuple[ImagePoint, ...]:
    """Read the points of an answer, in pixels; empty when there are none. Arguments and errors as `parse_answer`."""
    return parse_answer(text, size_wh, dialect, layout=layout).points


def parse_answer(
    text: str,
    size_wh: Size | Sequence[Size] | None,
    dialect: str | Dialect = "molmo",
    *,
    layout: PointTokenLayout | None = None,
) -> ParsedAnswer:
    """Read points, absence, the stated count, and problems from an answer.

    Args:
        text: The model's text, complete or not.
        size_wh: Width and height in pixels of the image that the model saw, or one pair for each of
            several images; of a video that of its frames. With a `layout` None takes its sizes.
        dialect: A name from `DIALECTS`, "auto" to tell it from the text, or a dialect.
        layout: Layout of MolmoPoint's tokens; needed for its points, else unused.

    Raises:
        InputError: `text` is not a string, a size is not above zero, the dialect is unknown, or
            MolmoPoint's layout is missing or is of other images.
    """
    text, sizes = checked_text(text), sizes_of(size_wh, dialect, layout)
    syntax = chosen_dialect(text, dialect, layout) or dialect_of("molmo")
    collector = Collector(sizes)
    collector.read(syntax.find_points, text)
    points, problems = collector.points, collector.problems
    stated = prose.stated_count(text)
    says_none = stated == 0 or (stated is None and prose.says_none(text))
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
        truncated=syntax.is_cut_off(text) or prose.ends_early(text),
        spans=tuple(collector.spans),
        dialect=syntax.name,
        full=syntax.full,
        lost=problems.messages(harmless=False),
    )


def sizes_of(size_wh: object, dialect: str | Dialect, layout: PointTokenLayout | None) -> tuple[Size, ...]:
    """Return the sizes of all images, after checking that they, the dialect and the layout go together.

    Raises:
        InputError: They do not.
    """
    name = dialect if isinstance(dialect, str) else dialect.name
    if isinstance(dialect, str) and dialect not in (*DIALECTS, AUTO):
        raise InputError("dialect must be a known one", repr(dialect), f"use one of {', '.join((*DIALECTS, AUTO))}")
    if layout is None and isinstance(dialect, MolmoPoint):
        layout = dialect.layout
    if layout is None:
        if name == "molmopoint":
            raise InputError(
                "layout must be given for MolmoPoint's tokens",
                "no layout",
                "give layout=PointTokenLayout.from_metadata(pointing metadata of the processor)",
            )
        return checked_sizes(size_wh)
    sizes = checked_sizes(layout.image_sizes if size_wh is None else size_wh)
    if len(sizes) != len(layout.image_sizes) and name == "molmopoint":
        given = f"{len(layout.image_sizes)} in it, {len(sizes)} sizes"
        raise InputError("layout must be of the same images", given, "give a size for each image")
    return sizes


def chosen_dialect(
    text: str, dialect: str | Dialect, layout: PointTokenLayout | None, *, growing: bool = False
) -> Dialect | None:
    """Return the dialect to read a text with; None for "auto" while the text shows none."""
    if not isinstance(dialect, str):
        return dialect
    if dialect != AUTO:
        return MolmoPoint(layout) if dialect == "molmopoint" else dialect_of(dialect)
    syntaxes = [MolmoPoint(layout) if name == "molmopoint" else dialect_of(name) for name in _TOLD_APART]
    shown = [
        (place, number) for number, syntax in enumerate(syntaxes) if (place := syntax.mark(text, growing=growing)) is not None
    ]
    return syntaxes[min(shown)[1]] if shown else None
