"""Showing of frames to a teaching session: what was taken and refused, told line by line on stderr."""

import math
import os
import select
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from molmo_point.arrays import BoolArray, ColorArray
from molmo_point.camera.base import Camera
from molmo_point.camera.replay import ReplayEnded
from molmo_point.cli.output import progress
from molmo_point.cli.teach.object_marks import Marks, Pixel
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.teaching.session import TeachingSession
from molmo_point.teaching.source_frames import SourceFrame

_LOOK_S, _TURN_S = 0.15, 0.8
"""Pause between two looks at a camera, and after a view, in seconds."""
_MOST_REFUSED = 60
_UNREADABLE = np.full((30, 40, 3), 40, np.uint8)


@dataclass(frozen=True, eq=False)
class SeenPicture:
    """One picture that was shown.

    Attributes:
        origin: Name of the file or the moment.
        color: The picture; a gray one if it cannot be read.
        mask: Pixels of the object; None if none was found.
        refusal: Reason against it as a word, e.g. BLURRED; empty if it was taken.
        message: The same in a sentence.
        places: Pixels (u, v) of objects that are seen, to choose one by a click.
        problem: Reason why it cannot be read; None for a picture.
    """

    origin: str
    color: ColorArray
    mask: BoolArray | None = None
    refusal: str = ""
    message: str = ""
    places: tuple[Pixel, ...] = ()
    problem: MolmoPointError | None = None


@dataclass
class ShowingLog:
    """Pictures that were shown of one object.

    Attributes:
        views: Number of views that are wanted.
        taken: Views that were taken.
        refused: Pictures that were refused, the first of a row of equal reasons from a camera.
        refusals: Number of all refused pictures.
        advice: View that would help most, in words; empty if none is known.
    """

    views: int
    taken: list[SeenPicture] = field(default_factory=list)
    refused: list[SeenPicture] = field(default_factory=list)
    refusals: int = 0
    advice: str = ""
    _told: str = ""

    def note(self, seen: SeenPicture, advice: str, *, live: bool = False) -> None:
        """Keep a picture and tell about it; of a camera, equal reasons in a row are told once."""
        if not seen.refusal:
            self.taken.append(seen)
            self._told = ""
        else:
            self.refusals += 1
            repeated = live and self._told == seen.refusal
            self._told = seen.refusal
            if repeated or len(self.refused) >= _MOST_REFUSED:
                return
            self.refused.append(seen)
        self.advice = advice or self.advice
        words = f"not taken: {seen.message}" if seen.refusal else f"view {len(self.taken)} of {self.views}"
        place = "" if live else f"{seen.origin}: "
        told = f"  |  {advice}" if live and advice and not seen.refusal and len(self.taken) < self.views else ""
        progress(f"{place}{words}{told}")

    def undo(self) -> None:
        """Forget the last view that was taken."""
        seen = self.taken.pop()
        self._told = ""
        progress(f"view {len(self.taken) + 1} is dropped: {seen.origin}")


def show_frames(session: TeachingSession, frames: Iterable[SourceFrame], marks: Marks, log: ShowingLog) -> None:
    """Show the frames of files to a session.

    Of a source of many frames, the views are spread over its whole length.

    Args:
        session: The teaching session.
        frames: Frames, some of which may be unreadable.
        marks: Places of the object.
        log: Receives what was taken and refused.
    """
    for shown in frames:
        spread = shown.path is None and math.isfinite(shown.share)
        if len(log.taken) >= log.views:
            return
        if spread and len(log.taken) >= math.ceil(log.views * shown.share):
            continue
        if shown.frame is None:
            assert shown.problem is not None
            log.note(
                SeenPicture(shown.origin, _UNREADABLE, refusal="UNREADABLE", message=brief(shown.problem), problem=shown.problem),
                "",
            )
        else:
            _offer(session, shown.frame, shown.origin, shown.path, marks, log)


def show_camera(session: TeachingSession, camera: Camera, marks: Marks, log: ShowingLog, timeout_s: float, by_hand: bool) -> None:
    """Show what a camera sees, until enough views are taken.

    With a terminal, Enter takes a view now, `u` drops the last one, and `q` ends the showing.

    Raises:
        InputError: No good view came in time.
        CameraError: The camera stopped.
    """
    keys = _Keys()
    progress(f"{'Press Enter to take a view' if by_hand else 'Show the object; views are taken by themselves'}{keys.help}")
    last_s = time.monotonic()
    while len(log.taken) < log.views:
        key = keys.read()
        if key == "q":
            return
        if key == "u" and log.taken:
            session.undo()
            log.undo()
        try:
            frame = camera.read()
        except ReplayEnded:
            return
        waits = by_hand and key is None
        if not waits and _offer(session, frame, camera.name, None, marks, log, live=True):
            last_s = time.monotonic()
            time.sleep(_TURN_S)
        elif time.monotonic() - last_s > timeout_s:
            told = log.refused[-1].message if log.refused else "no view was taken"
            given = f"{len(log.taken)} of {log.views} in {timeout_s:g} s ({told})"
            fewer = f"learn from fewer with --views {len(log.taken)}" if log.taken else "mark it with --click or --empty"
            raise InputError("A good view must come in time", given, f"show the object as told, or {fewer}")
        else:
            time.sleep(_LOOK_S)


def _offer(
    session: TeachingSession,
    frame: RgbdFrame,
    origin: str,
    path: Path | None,
    marks: Marks,
    log: ShowingLog,
    *,
    live: bool = False,
) -> bool:
    """Offer one picture to a session; return True if it was taken."""
    try:
        mark = marks.of(frame, path)
    except InputError as error:
        log.note(SeenPicture(origin, frame.color, refusal="UNMARKED", message=brief(error)), "")
        return False
    offered = session.offer(frame, uv=mark.uv, box=mark.box, mask=mark.mask, origin=origin)
    mask = None if offered.mask is None else offered.mask.mask
    refusal = "" if offered.refusal is None else offered.refusal.value
    clicks = " or ".join(f"--click {u:.0f},{v:.0f}" for u, v in offered.places)
    message = f"{offered.message} ({clicks})" if clicks else offered.message
    seen = SeenPicture(origin, frame.color, mask, refusal, message if refusal else "", offered.places)
    log.note(seen, offered.advice.message, live=live)
    return offered.accepted


def brief(error: MolmoPointError) -> str:
    """Return an error as part of a line, without its fix."""
    return f"{error.what}: {error.given}"


class _Keys:
    """Lines typed at a terminal, without waiting for them; none without a terminal."""

    def __init__(self) -> None:
        self._file = sys.stdin if sys.stdin is not None and sys.stdin.isatty() and os.name == "posix" else None

    @property
    def help(self) -> str:
        return "" if self._file is None else "; Enter: take one now, u Enter: drop the last, q Enter: enough"

    def read(self) -> str | None:
        """Return the line that was typed, in lower case; None without one."""
        if self._file is None or not select.select([self._file], [], [], 0)[0]:
            return None
        line = self._file.readline()
        if not line:
            # The end of the input would be read again and again.
            self._file = None
            return None
        return line.strip().lower()
