"""A video of every goal of a simulated arm."""

from collections.abc import Callable
from pathlib import Path

from molmo_point.errors import MolmoPointError
from molmo_point.picking.run_log import Look, RunLog, WatchedPointer
from molmo_point.picking.states import PickEvent
from molmo_point.pointer import Pointer
from molmo_point.sim.arm.film import ArmFilm
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.viz.overlay import save_png
from molmo_point.viz.run_video import RunVideo
from molmo_point.viz.video import write_video


class GoalVideo:
    """Remembers a goal while it is at work, and writes its video afterwards, in the arm's thread.

    Args:
        folder: For the videos, pick-001.mp4 and so on, and a picture beside each; made if it is not there.
        fps: Pictures per simulated second.
        say: Told what was written.
        arm: That does it.
        ticked: Called at every tick of the arm; the recorder adds itself.
    """

    def __init__(self, folder: str | Path, fps: float, say: Callable[[str], object], arm: SimulatedArm, ticked: list) -> None:
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
