"""Report of `molmo-point teach`: what was learnt, in lines, as JSON, and as a sheet of pictures."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molmo_point.cli.teach.library_option import found_value, object_values
from molmo_point.cli.teach.showing import SeenPicture, ShowingLog
from molmo_point.viz.text import percent, shortened

_TOLD_REFUSALS = 8
_WORDS = (("also", "aliases"), ("kind of", "categories"))


@dataclass(frozen=True)
class Lesson:
    """One object that was shown.

    Attributes:
        name: Its name.
        log: Pictures that were shown.
        source: Options of `point` that show the source again.
        showing_s: Time of the showing, in seconds.
        learning_s: Time of the learning, in seconds.
    """

    name: str
    log: ShowingLog
    source: str
    showing_s: float
    learning_s: float

    @property
    def learnt(self) -> bool:
        """True if a view was taken."""
        return bool(self.log.taken)


def lesson_values(path: Path, lessons: Sequence[Lesson], library: Any) -> dict[str, Any]:
    """Return what was learnt as plain JSON."""
    objects = [_values(path, lesson, library) for lesson in lessons]
    return {"library": str(path), "features": library.features, "known": len(library), "objects": objects}


def _values(path: Path, lesson: Lesson, library: Any) -> dict[str, Any]:
    learnt: dict[str, Any] = {"name": lesson.name}
    if lesson.learnt:
        known = library.find(lesson.name)
        learnt = {**object_values(library, known), "found_rate": found_value(library, known.name)}
    return {
        **learnt,
        "learnt": lesson.learnt,
        "taken": [seen.origin for seen in lesson.log.taken],
        "refused": [{"origin": s.origin, "reason": s.refusal, "message": s.message} for s in lesson.log.refused],
        "refused_count": lesson.log.refusals,
        "advice": lesson.log.advice,
        "showing_s": round(lesson.showing_s, 3),
        "learning_s": round(lesson.learning_s, 3),
        "command": use_of(lesson.name, path, lesson.source),
    }


def lesson_lines(values: Mapping[str, Any]) -> list[str]:
    """Format what was learnt, as `lesson_values` returns it."""
    lines: list[str] = []
    for each in values["objects"]:
        lines += [*_lines(each), ""]
    return [*lines, f"library  {values['library']}: {values['known']} object{'s' if values['known'] != 1 else ''}"]


def _lines(each: Mapping[str, Any]) -> list[str]:
    told = each["refused"][:_TOLD_REFUSALS]
    refused = [f"refused  {seen['origin']}: {shortened(seen['message'], 200)}" for seen in told]
    if each["refused_count"] > len(refused):
        refused.append(f"refused  {each['refused_count'] - len(refused)} more")
    if not each["learnt"]:
        return [f"not learnt  {each['name']}: no picture shows it well", *refused]
    rate, count = each["found_rate"], each["views"]
    also = "".join(f", {word} {', '.join(each[key])}" for word, key in _WORDS if each[key])
    lines = [f"learnt   {each['name']}: {count} view{'s' if count != 1 else ''}{also}"]
    found = "unknown: show it more than once" if rate is None else f"{percent(rate)} of its views, each left out once"
    lines.append(f"found    {found}")
    lines += [f"warning  looks like {other!r}: show both side by side, with --add" for other in each["looks_like"]]
    lines += [*refused, *([f"advice   {each['advice']}"] if each["advice"] else [])]
    lines.append(f"time     {each['showing_s']:.1f} s showing, {each['learning_s']:.1f} s learning")
    return [*lines, f"use it   {each['command']}"]


def use_of(name: str, path: Path, source: str) -> str:
    """Return the command that points at a taught object, for a shell."""
    return " ".join(["molmo-point point", shlex.quote(name), "--taught", shlex.quote(str(path)), source])


def write_sheet(path: Path | None, lessons: Sequence[Lesson], library: Any) -> list[Path]:
    """Write the sheet of all pictures if it is asked for; return the files."""
    from molmo_point.viz.labeled_sheet import draw_sheet
    from molmo_point.viz.overlay import save_png
    from molmo_point.viz.taught_sheet import pictures_tile, view_tile

    if path is None:
        return []
    tiles = []
    for lesson in lessons:
        for number, seen in enumerate(lesson.log.taken, start=1):
            tiles.append(view_tile(seen.color, seen.mask, [f"{lesson.name}, view {number}", seen.origin]))
        if lesson.learnt:
            tiles += [
                pictures_tile(
                    [library.find(name).views[0].thumbnail for name in (lesson.name, other)],
                    [f"{lesson.name} looks like {other}", "show both side by side"],
                    bad=True,
                )
                for other in library.looks_like(lesson.name)
            ]
        for seen in lesson.log.refused:
            tiles.append(_refused(lesson, seen))
    save_png(path, draw_sheet(tiles, ", ".join(lesson.name for lesson in lessons)))
    return [path]


def _refused(lesson: Lesson, seen: SeenPicture) -> Any:
    from molmo_point.viz.taught_sheet import view_tile

    lines = [f"{lesson.name}, not taken: {seen.origin}", *textwrap.wrap(seen.message, 60)[:2]]
    return view_tile(seen.color, seen.mask, lines, bad=True, places=seen.places)
