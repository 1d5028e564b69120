"""An arm with its model and cameras, as the picking node works with it; and the thread that it lives in."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from molmo_point.arm.arm import Arm
from molmo_point.errors import InputError
from molmo_point.picking.pick import Picker
from molmo_point.picking.states import PickEvent

IDLE_S = 1 / 30
_CLOSED = "the node shuts down"


class GoalRecorder(Protocol):
    """What watches a goal, for a video."""

    def begin(self, caption: str) -> None:
        """A goal begins."""
        ...

    def take(self, event: PickEvent) -> None:
        """Something happened."""
        ...

    def end(self, outcome: str) -> str:
        """It ended. Returns what was written, "" for nothing."""
        ...


@dataclass
class Rig:
    """An arm, ready to pick.

    Attributes:
        arm: See `picking.arm.Arm`.
        picker: With the model and the cameras.
        close: Frees everything.
        idles_in_wait: `arm.wait` takes as long as it says; otherwise the thread sleeps itself while there is nothing to do.
        recorder: None records nothing.
    """

    arm: Arm
    picker: Picker
    close: Callable[[], None]
    idles_in_wait: bool = True
    recorder: GoalRecorder | None = field(default=None)


class ArmThread:
    """Opens a rig and does jobs with it, one after the other, in one thread; between jobs the arm holds still.

    A simulated arm draws and moves only in the thread that made it, and a real one should not be moved from two.

    Args:
        open_rig: Called in the thread.
    """

    def __init__(self, open_rig: Callable[[], Rig]) -> None:
        self._open_rig = open_rig
        self._jobs: queue.Queue[tuple[Callable[[Rig], Any], Future]] = queue.Queue()
        self._end = threading.Event()
        self._opened: Future = Future()
        self._rig: Rig | None = None
        self._thread = threading.Thread(target=self._run, name="arm", daemon=True)

    def start(self) -> None:
        """Open the rig.

        Raises:
            Exception: What opening it raised.
        """
        self._thread.start()
        self._opened.result()

    def do(self, job: Callable[[Rig], Any]) -> Any:
        """Have a job done and wait for what it returns.

        Raises:
            Exception: What the job raised.
            InputError: If the thread was closed.
        """
        return self.post(job).result()

    def post(self, job: Callable[[Rig], Any]) -> Future:
        """Have a job done after those before it, without waiting; what it raises is in the future."""
        done: Future = Future()
        self._jobs.put((job, done))
        if self._end.is_set():
            self._refuse_waiting()
        return done

    def stop(self) -> None:
        """Stop the arm, now, whatever it is doing."""
        if self._rig is not None:
            self._rig.arm.stop()

    def close(self) -> None:
        """Stop the arm, end the thread and free the rig."""
        self._end.set()
        self.stop()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)

    def _run(self) -> None:
        try:
            rig = self._rig = self._open_rig()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        try:
            while not self._end.is_set():
                self._do_one(rig)
        finally:
            self._refuse_waiting()
            self._rig = None
            rig.close()

    def _do_one(self, rig: Rig) -> None:
        try:
            job, done = self._jobs.get(block=not rig.idles_in_wait, timeout=IDLE_S)
        except queue.Empty:
            rig.arm.wait(IDLE_S)
            return
        try:
            done.set_result(job(rig))
        except BaseException as error:
            done.set_exception(error)

    def _refuse_waiting(self) -> None:
        while True:
            try:
                _, done = self._jobs.get_nowait()
            except queue.Empty:
                return
            done.set_exception(InputError("The arm takes no more jobs", _CLOSED, "start the node again"))
