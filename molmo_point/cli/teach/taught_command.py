"""Command `molmo-point taught`: what a library holds, and changes of it."""

import argparse
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from molmo_point.cli.output import add_json, show
from molmo_point.cli.overwriting import Output, OutputFormat, add_force, check_outputs
from molmo_point.cli.table import columns
from molmo_point.cli.teach import correct_command
from molmo_point.cli.teach.library_option import add_library, found_value, known_library, library_or_empty, object_values
from molmo_point.errors import InputError
from molmo_point.viz.text import percent

_HEAD = ["name", "also", "kind of", "views", "looks like", "taught"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands below `taught`."""
    parser.description = "Shows and changes a library of taught objects."
    commands = parser.add_subparsers(dest="what", metavar="what", required=True, parser_class=type(parser))
    _add(commands, "list", "the objects, their other names, and look-alikes", run_list)
    shown = _add(commands, "show", "views of objects, in words and as a sheet of pictures", run_show)
    shown.add_argument("names", nargs="*", metavar="NAME", help="objects (default: all)")
    shown.add_argument("--sheet", type=Path, metavar="PNG", help="write the pictures of the views")
    add_force(shown)
    renamed = _add(commands, "rename", "give an object another name", run_rename)
    renamed.add_argument("names", nargs=2, metavar=("OLD", "NEW"))
    words = _add(commands, "alias", "add or remove other names and categories of an object", run_alias)
    words.add_argument("name", metavar="NAME")
    words.add_argument("aliases", nargs="*", metavar="ALIAS", help="other names of this object alone")
    words.add_argument("--category", action="append", default=[], metavar="WORDS", help="words that it shares with others")
    words.add_argument("--remove", action="append", default=[], metavar="WORDS", help="an alias or a category to remove")
    gone = _add(commands, "forget", "remove objects, or one view of an object", run_forget)
    gone.add_argument("names", nargs="+", metavar="NAME")
    gone.add_argument("--view", type=int, metavar="N", help="remove only this view, counted from 1 as `show` does")
    merged = _add(commands, "merge", "add the objects of other libraries", run_merge)
    merged.add_argument("libraries", nargs="+", type=Path, metavar="FILE")
    corrected = commands.add_parser("correct", help='"no, this one": add a view to an object that was pointed at wrongly')
    correct_command.add_arguments(corrected)


def _add(commands: Any, name: str, purpose: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=purpose)
    add_library(parser)
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run_list(options: argparse.Namespace) -> int:
    """List the objects of a library."""
    library = known_library(options.taught)
    return _tell(options, library, [])


def _tell(options: argparse.Namespace, library: Any, lines: list[str]) -> int:
    """Print what was done, and the objects of the library."""
    objects = [object_values(library, known) for known in library.objects]
    rows = [_cells(values) for values in objects]
    table = columns(_HEAD, rows, left=(0, 1, 2, 4, 5)) if rows else ["no object was taught yet"]
    values = {"library": str(options.taught), "features": library.features, "objects": objects}
    show(options, values, [*lines, f"library {options.taught}, features {library.features}", "", *table])
    return 0


def _cells(values: dict[str, Any]) -> list[str]:
    stamp_ns = values["stamp_ns"]
    day = "–" if not stamp_ns else datetime.fromtimestamp(stamp_ns * 1e-9, timezone.utc).strftime("%Y-%m-%d")
    words = [", ".join(values[key]) for key in ("aliases", "categories", "looks_like")]
    return [values["name"], *words[:2], str(values["views"]), words[2], day]


def run_show(options: argparse.Namespace) -> int:
    """Describe the views of objects, and write their sheet."""
    check_outputs(options, Output("--sheet", options.sheet, OutputFormat.PNG), inputs=[options.taught])
    library = known_library(options.taught)
    chosen = [library.find(name) for name in options.names] or list(library.objects)
    lines, objects = [], []
    for known in chosen:
        values = {**object_values(library, known), "found_rate": found_value(library, known.name)}
        views = [{"view": number, "origin": view.origin, "stamp_ns": view.stamp_ns} for number, view in enumerate(known.views, 1)]
        objects.append({**values, "views": views})
        lines += [*_described(values), *(f"  view {view['view']}  {view['origin'] or 'unknown origin'}" for view in views), ""]
    if options.sheet is not None and chosen:
        from molmo_point.viz.overlay import save_png

        save_png(options.sheet, _sheet(library, chosen))
        lines.append(f"wrote {options.sheet}")
    files = [str(options.sheet)] if options.sheet is not None and chosen else []
    show(options, {"library": str(options.taught), "objects": objects, "files": files}, lines or ["no object was taught yet"])
    return 0


def _described(values: dict[str, Any]) -> list[str]:
    rate = values["found_rate"]
    lines = [values["name"]]
    lines += [f"  also      {', '.join(values['aliases'])}"] if values["aliases"] else []
    lines += [f"  kind of   {', '.join(values['categories'])}"] if values["categories"] else []
    lines += [f"  found     {percent(rate)} of left-out views"] if rate is not None else []
    return lines + ([f"  looks like {', '.join(values['looks_like'])}"] if values["looks_like"] else [])


def _sheet(library: Any, chosen: list[Any]) -> Any:
    from molmo_point.viz.labeled_sheet import draw_sheet
    from molmo_point.viz.taught_sheet import pictures_tile

    tiles = []
    for known in chosen:
        for first in range(0, len(known.views), 2):
            pair = known.views[first : first + 2]
            numbers = " and ".join(f"view {first + k + 1}" for k in range(len(pair)))
            origins = ", ".join(view.origin for view in pair if view.origin)
            tiles.append(pictures_tile([view.thumbnail for view in pair], [known.name, numbers, origins]))
        for other in library.looks_like(known.name):
            pair = [known.views[0].thumbnail, library.find(other).views[0].thumbnail]
            tiles.append(pictures_tile(pair, [f"{known.name} looks like {other}"], bad=True))
    return draw_sheet(tiles, f"{len(chosen)} taught objects")


def run_rename(options: argparse.Namespace) -> int:
    """Rename an object."""
    old, new = options.names
    library = known_library(options.taught)
    before = library.find(old).name
    return _changed(options, library.renamed(old, new), f"renamed {before!r} to {new!r}")


def run_alias(options: argparse.Namespace) -> int:
    """Change the other words of an object."""
    if not (options.aliases or options.category or options.remove):
        fix = "molmo-point taught alias 'my mug' 'my cup' --category mug"
        raise InputError("alias must have words to add or to remove", "none", fix)
    library = known_library(options.taught)
    for words in options.remove:
        library = library.without_words(options.name, words)
    library = library.with_words(options.name, aliases=options.aliases, categories=options.category)
    return _changed(options, library, f"changed the words of {library.find(options.name).name!r}")


def run_forget(options: argparse.Namespace) -> int:
    """Remove objects or a view."""
    library = known_library(options.taught)
    if options.view is not None:
        if len(options.names) != 1:
            raise InputError("--view must go with one object", f"{len(options.names)} names", "name the object of the view")
        name = library.find(options.names[0]).name
        return _changed(options, library.without_view(name, options.view - 1), f"forgot view {options.view} of {name!r}")
    names = [library.find(name).name for name in options.names]
    for name in dict.fromkeys(names):
        library = library.forgotten(name)
    return _changed(options, library, f"forgot {', '.join(map(repr, dict.fromkeys(names)))}")


def run_merge(options: argparse.Namespace) -> int:
    """Merge other libraries into this one."""
    library = library_or_empty(options.taught)
    before = len(library)
    for path in options.libraries:
        library = library.merged(known_library(path))
    return _changed(options, library, f"added {len(library) - before} objects")


def _changed(options: argparse.Namespace, library: Any, words: str) -> int:
    from molmo_point.model.taught.library_file import write_library

    write_library(options.taught, library)
    return _tell(options, library, [words])
