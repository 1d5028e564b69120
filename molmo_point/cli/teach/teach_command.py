"""Command `molmo-point teach`: show an object, and use it by name."""

import argparse
import contextlib
import sys
from pathlib import Path

from molmo_point.cli import frame_source
from molmo_point.cli.exit_codes import EXIT_ERROR, EXIT_OK
from molmo_point.cli.number_options import amount
from molmo_point.cli.output import add_json, show
from molmo_point.cli.overwriting import Output, OutputFormat, add_force, check_outputs
from molmo_point.cli.point import add_checkpoint
from molmo_point.cli.teach.circle_option import add_circle
from molmo_point.cli.teach.library_option import add_library, library_or_empty
from molmo_point.cli.teach.object_marks import add_marks

_VIEWS, _TIMEOUT_S = 5, 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `teach`."""
    parser.description = "Learns an object from a few views; `point` and all other commands then know it by name (--taught)."
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of the object, e.g. 'my mug'")
    group = parser.add_argument_group("what is shown (one of --from, --folders, --camera, --image, --recording, --circle)")
    told = "photographs, folders of them, videos, recordings, bags"
    group.add_argument("--from", nargs="+", metavar="PATH", help=told)
    group.add_argument("--folders", type=Path, metavar="FOLDER", help="teach one object for each folder in it, named after it")
    frame_source.add_arguments(parser)
    group = parser.add_argument_group("object")
    group.add_argument("--alias", action="append", default=[], metavar="NAME", help="another name of this object alone")
    told = "words that it may share with other objects, e.g. mug, 'blue thing'"
    group.add_argument("--category", action="append", default=[], metavar="WORDS", help=told)
    group.add_argument("--add", action="store_true", help="add views to an object that was taught before")
    told = f"views to take (default {_VIEWS} of a camera or a video, all photographs)"
    group.add_argument("--views", type=amount(100), metavar="N", help=told)
    add_marks(parser)
    group = parser.add_argument_group("showing to a camera")
    told = f"longest time without a good view, after which nothing is learnt (default {_TIMEOUT_S:g})"
    group.add_argument("--timeout", type=float, default=_TIMEOUT_S, metavar="S", help=told)
    told = "take a view when Enter is pressed, not by itself"
    group.add_argument("--by-hand", action="store_true", help=told)
    add_circle(parser)
    add_checkpoint(parser)
    group = parser.add_argument_group("output")
    add_library(group)
    group.add_argument("--sheet", type=Path, metavar="PNG", help="write every view with the outline of its mask")
    add_json(group)
    add_force(group)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show, learn, write and report; the library stays as it was after any error."""
    from molmo_point.cli.teach.lessons import lesson, nothing_learnt, sources_by_name
    from molmo_point.cli.teach.teach_report import lesson_lines, lesson_values, write_sheet
    from molmo_point.model.taught.library_file import write_library

    sources = sources_by_name(options)
    check_outputs(options, Output("--sheet", options.sheet, OutputFormat.PNG), inputs=[options.taught])
    with contextlib.redirect_stdout(sys.stderr):
        library = library_or_empty(options.taught)
        lessons = []
        for name, paths in sources.items():
            done, library = lesson(options, library, name, paths, _VIEWS)
            lessons.append(done)
        written = write_sheet(options.sheet, lessons, library)
        if options.folders is None and not lessons[0].learnt:
            raise nothing_learnt(lessons[0].log)
        if any(each.learnt for each in lessons):
            library = write_library(options.taught, library)
    values = lesson_values(options.taught, lessons, library)
    lines = [*lesson_lines(values), *(f"wrote    {path}" for path in written)]
    show(options, {**values, "files": [str(path) for path in written]}, lines)
    return EXIT_OK if all(each.learnt for each in lessons) else EXIT_ERROR
