"""Video and record of every goal of a simulated arm."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from molmo_point.errors import InputError, MolmoPointError
from molmo_point.files import write_file
from molmo_point.picking.run_log import GoalRecorder, Look, RunLog, WatchedPointer
from molmo_point.picking.states import PickEvent
from molmo_point.pointer import Pointer
from molmo_point.sim.arm.drawing import ArmFilm
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.viz.overlay import save_png
from molmo_point.viz.run_video import RunVideo
from molmo_point.viz.video import write_video


class GoalVideo(GoalRecorder):
    """Records goals, and writes a video of each in the arm's thread.

    Each goal gets the next free number: a video (pick-001.mp4), a picture (pick-001.png), and, last, a record (pick-001.json)
    with its caption, its outcome, and the name of the video or the reason for having none.

    Args:
        folder: Folder of the files; made if it is missing.
        fps: Pictures per simulated second.
        say: Called with a line about every video.
        arm: The arm.
        ticked: Functions that the arm calls at every tick; the recorder adds its own.
    """

    def __init__(self, folder: str | Path, fps: float, say: Callable[[str], object], arm: SimulatedArm, ticked: list) -> None:
        self._folder, self._fps, self._say, self._arm = Path(folder), fps, say, arm
        self._log = RunLog()
        self._film = ArmFilm(arm, fps)
        self._recording = False
        self._number = 0
        ticked.append(self._tick)

    def watch(self, pointer: Pointer) -> Pointer:
        """Watch the answers of a pointer."""
        return WatchedPointer(pointer, lambda frame, answer: self._log.looks.append(Look(frame, answer)))

    def begin(self, caption: str) -> None:
        """Begin the record of a goal."""
        self._film.clear()
        self._log.begin(caption, self._arm.now_ns())
        self._recording = True

    def take(self, event: PickEvent) -> None:
        """Record an event."""
        self._log.events.append(event)

    def end(self, success: bool, message: str) -> None:
        """End the record, and draw and write the files.

        Args:
            success: True if the goal was reached.
            message: Outcome in words, for people.
        """
        if not self._recording:
            return
        self._recording = False
        if not len(self._film):
            return
        self._log.success, self._log.message = success, message
        path = self._free_path()
        record: dict[str, Any] = {"caption": self._log.caption, "success": success, "message": message, "video": None}
        try:
            record["video"] = self._write(path).name
        except (MolmoPointError, OSError) as error:
            record["reason"] = str(error)
            self._say(f"no video: {error}")
        with contextlib.suppress(InputError):
            write_file(path.with_suffix(".json"), f"{json.dumps(record, indent=1)}\n".encode())

    def _free_path(self) -> Path:
        """Return the path of the next video; files of an earlier run stay."""
        while True:
            self._number += 1
            path = self._folder / f"pick-{self._number:03d}.mp4"
            if not any(os.path.lexists(path.with_suffix(suffix)) for suffix in (".mp4", ".gif", ".png", ".json")):
                return path

    def _tick(self, arm: SimulatedArm) -> None:
        if self._recording:
            self._film.record(arm)

    def _write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        cameras = (("fixed camera", self._arm.view("fixed").frame), ("wrist camera", self._arm.view("wrist").frame))
        view = self._film.view
        drawn = RunVideo(self._log, view.intrinsics, view.pose, self._arm.gripper, cameras)
        pictures = drawn.pictures(self._film.pictures(), hold=round(2 * self._fps))
        written = write_video(path, pictures, self._fps)
        if drawn.still is not None:
            save_png(path.with_suffix(".png"), drawn.still)
        self._say(f"wrote {written}")
        return written
