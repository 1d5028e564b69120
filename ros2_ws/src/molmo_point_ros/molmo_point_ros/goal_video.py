"""A video of every goal of a simulated arm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from molmo_point.errors import MolmoPointError
from molmo_point.picking.states import PickEvent
from molmo_point.pointer import Pointer
from molmo_point.viz.run_log import Look, RunLog, WatchedPointer


class GoalVideo:
    """Remembers a goal while it is at work, and writes its video afterwards, in the arm's thread.

    Args:
        folder: For the videos, pick-001.mp4 and so on; made if it is not there.
        fps: Pictures per simulated second.
        say: Told what was written.
        arm: A `SimulatedArm`.
        ticked: Called at every tick of the arm; the recorder adds itself.
    """

    def __init__(self, folder: str | Path, fps: float, say: Callable[[str], None], arm: Any, ticked: list) -> None:
        from molmo_point.sim.arm_film import ArmFilm

        self._folder, self._fps, self._say, self._arm = Path(folder), fps, say, arm
        self._log = RunLog()
        self._film = ArmFilm(arm, fps)
        self._recording = False
        self._number = 0
        ticked.append(self._tick)

    def watch(self, pointer: Pointer) -> Pointer:
        """The pointer, its answers noted."""
        return WatchedPointer(pointer, lambda frame, answer: self._log.looks.append(Look(frame, answer)))

    def begin(self, caption: str) -> None:
        """A goal begins."""
        self._film.clear()
        self._log.begin(caption, self._arm.now_ns())
        self._recording = True

    def take(self, event: PickEvent) -> None:
        """Something happened."""
        self._log.events.append(event)

    def end(self, outcome: str) -> str:
        """The goal ended: draw and write it. Returns the path; "" where nothing was recorded or written."""
        if not self._recording:
            return ""
        self._recording = False
        if not len(self._film):
            return ""
        self._log.outcome = outcome
        self._number += 1
        try:
            return str(self._write(self._folder / f"pick-{self._number:03d}.mp4"))
        except (MolmoPointError, OSError) as error:
            self._say(f"no video: {error}")
            return ""

    def _tick(self, arm: Any) -> None:
        if self._recording:
            self._film.record(arm)

    def _write(self, path: Path) -> Path:
        from molmo_point.viz.run_video import RunVideo
        from molmo_point.viz.video import write_video

        path.parent.mkdir(parents=True, exist_ok=True)
        view, fixed, wrist = self._film.view, self._arm.view("fixed"), self._arm.view("wrist")
        cameras = (("fixed camera", fixed.frame), ("wrist camera", wrist.frame))
        drawn = RunVideo(self._log, view.intrinsics, view.pose, self._arm.gripper, cameras)
        written = write_video(path, drawn.pictures(self._film.pictures(), hold=round(2 * self._fps)), self._fps)
        self._say(f"wrote {written}")
        return written
