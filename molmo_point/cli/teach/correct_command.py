"""Command `molmo-point taught correct`: "no, this one"."""

import argparse
from pathlib import Path

from molmo_point.cli import frame_source
from molmo_point.cli.output import add_json, show
from molmo_point.cli.teach.library_option import add_library, known_library, object_values
from molmo_point.cli.teach.object_marks import checked_pixel
from molmo_point.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = "Adds a view to an object that was pointed at wrongly; it takes effect with the next question."
    parser.add_argument("name", metavar="NAME", help="the object")
    group = parser.add_argument_group("the object in the image")
    group.add_argument("--at", metavar="U,V", help="pixel on the right object")
    group.add_argument("--mask", type=Path, metavar="FILE", help="its mask instead, white on black")
    told = "pixel that was wrongly pointed at; may be repeated"
    group.add_argument("--not-at", action="append", default=[], metavar="U,V", help=told)
    frame_source.add_arguments(parser)
    group = parser.add_argument_group("output")
    add_library(group)
    add_json(group)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Correct the library."""
    from molmo_point.camera.image_file import load_color
    from molmo_point.model.taught.library_file import write_library
    from molmo_point.teaching.correction import correct

    if (options.at is None) == (options.mask is None):
        given = "none" if options.at is None else "both"
        raise InputError("One of --at and --mask must be given", given, "give the pixel of the right object: --at U,V")
    wrong = [checked_pixel("--not-at", text) for text in options.not_at]
    uv = None if options.at is None else checked_pixel("--at", options.at)
    mask = None if options.mask is None else load_color(options.mask)
    library = known_library(options.taught)
    library.find(options.name)
    frame = frame_source.read_frame(options)
    origin = f"correction in {Path(str(options.image or options.recording or options.camera)).name}"
    library = correct(library, frame, options.name, uv=uv, mask=mask, wrong=wrong, origin=origin)
    library = write_library(options.taught, library)
    values = object_values(library, library.find(options.name))
    lines = [f"corrected {values['name']}: {values['views']} views", f"library   {options.taught}"]
    show(options, {"library": str(options.taught), "object": values}, lines)
    return 0
