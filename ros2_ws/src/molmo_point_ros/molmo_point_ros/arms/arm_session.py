"""An arm with its picker and recorder, as the picking node uses it, and the thread that moves it."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from molmo_point.arm.arm import Arm
from molmo_point.arm.arm_registry import open_arm
from molmo_point.arm.stop_latch import Permit, StopLatch
from molmo_point.camera.base import with_noise
from molmo_point.errors import InputError
from molmo_point.picking.held_object import DropZones
from molmo_point.picking.pick import Picker
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.run_log import GoalRecorder
from molmo_point_ros.nodes.pick_parameters import PickNodeParameters
from molmo_point_ros.outputs.arm_publisher import ArmPublisher
from molmo_point_ros.teaching.taught_services import open_taught_layer

if TYPE_CHECKING:
    from molmo_point.teaching.taught_layer import TaughtLayer

IDLE_S = 1 / 30
_END_S, _OPENING_S = 10.0, 3.0
_FIXED, _WRIST = "fixed", "wrist"


@dataclass
class Rig:
    """An arm, ready to pick; closing its arm frees it.

    Attributes:
        picker: The picker with its arm, model and cameras.
        recorder: Records goals; None records nothing.
        taught: Taught objects above the model; None without a library.
    """

    picker: Picker
    recorder: GoalRecorder | None = None
    taught: "TaughtLayer | None" = None

    def use_taught(self) -> None:
        """Let the objects that are taught now answer the next goal, to its end."""
        if self.taught is not None:
            self.picker.pointer.backend = self.taught.pointer.backend

    @property
    def arm(self) -> Arm:
        """The arm of the picker."""
        return self.picker.arm


def open_rig(
    parameters: PickNodeParameters,
    publisher: ArmPublisher,
    load_pointer: Callable[..., Any],
    logger: Any,
) -> Rig:
    """Open the arm of the parameters with its cameras, in the thread that will move it.

    Args:
        parameters: Parameters of the node.
        publisher: Gets the arm's state at every tick, and its cameras.
        load_pointer: As `Pointer.from_pretrained`.
        logger: Of the node; it is told about every video, and about a library that cannot be read.

    Raises:
        MolmoPointError: If the model or the arm cannot be opened, or the arm has no fixed camera.
    """
    model = (parameters.device or None, parameters.quantization or None)
    pointer = load_pointer(parameters.model, device=model[0], quantization=model[1])
    taught = open_taught_layer(pointer, parameters.taught, logger)
    pointer = pointer if taught is None else taught.pointer
    ticked: list[Callable[[Any], None]] = [publisher.tick]

    def tick(arm: Arm) -> None:
        for each in ticked:
            each(arm)

    arm = open_arm(parameters.arm, vars(parameters), on_tick=tick)
    try:
        recorder = _video_recorder(parameters, arm, ticked, logger.info) if parameters.video_folder else None
        fixed = with_noise(arm.open_camera(_FIXED), parameters.camera_model)
        wrist = with_noise(arm.open_camera(_WRIST), parameters.camera_model) if _WRIST in arm.camera_frames else None
        # The published images have cameras of their own, with the node's clock.
        topics = {f"{name}_camera": name for name in arm.camera_frames}
        cameras = {topic: arm.open_camera(name, clock_ns=publisher.now_ns) for topic, name in topics.items()}
        publisher.add_cameras(cameras, {topic: arm.camera_frames[name] for topic, name in topics.items()})
        zones = DropZones(parameters.aside_xy_m, parameters.hand_over_xy_m, parameters.place_spacing_m)
        watched = pointer if recorder is None else recorder.watch(pointer)
        least = parameters.least_confidence if parameters.require_trusted else 0.0
        settings = PickSettings(
            accept_cautions=parameters.accepted(), least_confidence=least, without_depth=parameters.without_depth
        )
        return Rig(Picker(watched, arm, fixed, wrist, settings, zones), recorder, taught)
    except BaseException:
        arm.close()
        raise


def _video_recorder(parameters: PickNodeParameters, arm: Arm, ticked: list, say: Callable[[str], object]) -> GoalRecorder:
    from molmo_point.sim.arm import SimulatedArm
    from molmo_point.viz.goal_video import GoalVideo

    if not isinstance(arm, SimulatedArm):
        fix = "leave it empty, or use arm:=simulated"
        raise InputError("video_folder must be empty for this arm: only the simulated one draws videos", parameters.arm, fix)
    return GoalVideo(parameters.video_folder, parameters.video_fps, say, arm, ticked)


class ArmThread:
    """Opens a rig and does jobs with it in one thread; between jobs the arm holds still.

    A simulated arm draws and moves only in the thread that made it. Two threads must not move a real one.

    Args:
        opens: Opens the rig, in the thread.
    """

    def __init__(self, opens: Callable[[], Rig]) -> None:
        self._opens = opens
        self._jobs: queue.Queue[tuple[Callable[[Rig], Any], Future]] = queue.Queue()
        self._end = threading.Event()
        self._opened: Future = Future()
        self._rig: Rig | None = None
        self._thread = threading.Thread(target=self._run, name="arm", daemon=True)

    def start(self) -> None:
        """Open the rig.

        Raises:
            Exception: The error of opening it.
        """
        self._thread.start()
        self._opened.result()

    def do(self, job: Callable[[Rig], Any]) -> Any:
        """Do a job and return its result.

        Raises:
            Exception: The error of the job.
            InputError: If the thread is closed.
        """
        return self.post(job).result()

    def post(self, job: Callable[[Rig], Any]) -> Future:
        """Queue a job without waiting; its result or error is in the future."""
        done: Future = Future()
        self._jobs.put((job, done))
        if self._end.is_set():
            self._refuse_waiting()
        return done

    @property
    def holding(self) -> str:
        """Query of the object in the gripper; "" is an empty gripper."""
        return "" if self._rig is None else self._rig.picker.holding

    def stop(self) -> None:
        """Stop the arm now, and revoke the permits given so far."""
        if self._rig is not None:
            self._rig.arm.stop()

    def resume(self) -> Permit:
        """Let the arm move again for a new command, and return the command's permit: a revoked one if no arm is open."""
        if self._rig is not None:
            return self._rig.arm.resume()
        closed = StopLatch()
        permit = closed.watch()
        closed.stop()
        return permit

    def close(self) -> None:
        """Stop the arm, end the thread and free the rig; may be called more than once.

        Opening a rig cannot be interrupted: the thread then ends later, with the process.
        """
        was_closed = self._end.is_set()
        self._end.set()
        self.stop()
        if self._thread.is_alive() and not was_closed:
            self._thread.join(timeout=_OPENING_S if self._rig is None else _END_S)

    def _run(self) -> None:
        try:
            rig = self._rig = self._opens()
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
            rig.arm.close()

    def _do_one(self, rig: Rig) -> None:
        try:
            job, done = self._jobs.get(block=not rig.arm.waits_in_real_time, timeout=IDLE_S)
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
            done.set_exception(InputError("The arm takes no more jobs", "the node shuts down", "start the node again"))
