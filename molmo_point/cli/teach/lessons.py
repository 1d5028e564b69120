"""Lessons: one object after the other is shown to a session, and learnt."""

import argparse
import shlex
import time
from collections.abc import Sequence
from typing import Any

from molmo_point.cli import frame_source
from molmo_point.cli.output import progress
from molmo_point.cli.teach.circle_option import show_circling
from molmo_point.cli.teach.object_marks import Marks, marks_of
from molmo_point.cli.teach.showing import ShowingLog, show_camera, show_frames
from molmo_point.cli.teach.teach_report import Lesson
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.model.taught.object_names import checked_name
from molmo_point.teaching.session import TeachingSession
from molmo_point.teaching.source_frames import SourceFrame, frames_of, object_folders, photographs_of
from molmo_point.text_checks import checked_seconds

_SOURCES = ("from", "folders", "image", "recording", "camera", "circle")


def sources_by_name(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the paths to teach from by the name of their object; none for a frame or a camera of the other options.

    Raises:
        InputError: The options name no source, or more than one.
    """
    source = frame_source.chosen_source(options, *_SOURCES)
    frame_source.check_owners(options, source)
    if source == "--folders":
        for name in ("name", "alias", "click", "box", "mask", "by"):
            if vars(options)[name]:
                fix = "leave it out; the folders name the objects"
                raise InputError(f"--folders must go without {name}", repr(vars(options)[name]), fix)
        return {name: [str(path)] for name, path in object_folders(options.folders).items()}
    if options.name is None:
        raise InputError("NAME must be given", "none", "write it first: molmo-point teach 'my mug' --from FOLDER")
    if source == "--recording" and options.index is None:
        return {options.name: [f"recording:{options.recording}"]}
    return {options.name: [str(path) for path in vars(options)["from"] or ()]}


def lesson(options: argparse.Namespace, library: Any, name: str, paths: Sequence[str], views: int) -> tuple[Lesson, Any]:
    """Show one object and learn it; without a good view the library comes back as it was.

    Args:
        options: Options of the command.
        library: Library that is to learn it.
        name: Its name.
        paths: Sources to teach it from; empty for the frame or the camera of the other options.
        views: Number of views to take of a source of many frames, unless the options say another one.

    Returns:
        What was shown, and the library that knows the object.

    Raises:
        InputError: The name or an option cannot be used.
        CameraError: The camera stopped.
    """
    photographs = _photographs(options, paths)
    marks = marks_of(options, photographs, options.camera is not None)
    log = ShowingLog(options.views or photographs or views)
    words = {"aliases": options.alias, "categories": options.category}
    for role, given in (("name", [name]), ("alias", options.alias), ("category", options.category)):
        for word in given:
            checked_name(word, role)
    session = TeachingSession(library, name, **words, add=options.add, source=marks.source, empty=marks.empty)
    start_s = time.monotonic()
    if paths:
        show_frames(session, frames_of(paths, log.views), marks, log)
    elif options.circle is not None:
        show_circling(session, options, log)
    elif options.camera is not None:
        _show_camera(options, session, marks, log)
    else:
        path = options.image or options.recording
        show_frames(session, [SourceFrame(path.name, options.image, frame_source.read_frame(options))], marks, log)
    shown_s = time.monotonic()
    if log.taken:
        library = session.finish()
    return Lesson(name, log, _shown_again(options, paths), shown_s - start_s, time.monotonic() - shown_s), library


def _show_camera(options: argparse.Namespace, session: TeachingSession, marks: Marks, log: ShowingLog) -> None:
    checked_seconds("--timeout", options.timeout)
    with frame_source.open_named_camera(options) as camera:
        if options.empty == "":
            session.empty = camera.read()
            progress("the empty scene is kept; now put the object into it, and keep the camera where it is")
        show_camera(session, camera, marks, log, options.timeout, options.by_hand)


def _photographs(options: argparse.Namespace, paths: Sequence[str]) -> int | None:
    """Return the number of pictures that a person chose; None for a source of many frames."""
    if paths:
        return len(photographs_of(paths)) or None
    return 1 if options.camera is None and options.circle is None else None


def nothing_learnt(log: ShowingLog) -> MolmoPointError:
    """Return the error that no picture shows the object well; of a single picture that cannot be read, its own."""
    problems = [seen.problem for seen in log.refused if seen.problem is not None]
    if log.refusals == 1 and problems:
        return problems[0]
    told = "; ".join(f"{seen.origin}: {seen.message}" for seen in log.refused[:3])
    more = f" and {log.refusals - 3} more" if log.refusals > 3 else ""
    given = f"none of {log.refusals} ({told}{more})" if log.refusals else "no picture"
    return InputError(
        "One picture at least must show the object well",
        given,
        "mark the object (--click, --box, --mask, --empty), or show it alone",
    )


def _shown_again(options: argparse.Namespace, paths: Sequence[str]) -> str:
    """Return the options of `point` that show the source again."""
    if options.circle is not None:
        return "--camera CAMERA"
    if options.camera is not None:
        return f"--camera {shlex.quote(options.camera)}"
    if options.recording is not None:
        return f"--recording {shlex.quote(str(options.recording))}"
    first = options.image or next(iter(photographs_of(paths)), None)
    return f"--camera {shlex.quote(paths[0])}" if first is None else f"--image {shlex.quote(str(first))}"
