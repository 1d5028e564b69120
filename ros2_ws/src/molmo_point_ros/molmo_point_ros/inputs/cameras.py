"""Cameras that a node opens itself, read in a thread of their own."""

import threading
from collections.abc import Callable
from typing import Any

from molmo_point.camera.base import Camera
from molmo_point.errors import CameraError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform, load_transform
from molmo_point_ros.inputs.tf_listener import TransformRelay
from molmo_point_ros.nodes.parameters import CameraParameters

RETRY_S = 0.5
OPENING_TIMEOUT_S = 120.0


def camera_reader(
    node: Any, settings: CameraParameters, on_frame: Callable[[RgbdFrame], None], on_error: Callable[[Exception], None]
) -> "CameraReader":
    """Prepare the camera that the parameters name, to be read in a thread of its own.

    Args:
        node: Gives the time of frames without a capture time of their own; publishes transforms stored with the frames.
        settings: The parameters.
        on_frame: Called in the thread with every frame.
        on_error: Called in the thread with the reason when a frame is missing; reading goes on.

    Raises:
        InputError: The parameters name no camera.
    """
    request, clock = settings.request(), node.get_clock()
    more = {"on_transforms": TransformRelay(node)} if request.driver.records_transforms else {}

    def open_it() -> tuple[Camera, Transform | None]:
        pose = load_transform(settings.camera_transform) if settings.camera_transform else None
        camera = request.open(**more)
        keeps_stamps = camera.replays and not settings.restamp
        stamped = camera if keeps_stamps else camera.stamped_by(lambda: clock.now().nanoseconds)
        return stamped, pose or camera.base_T_camera

    return CameraReader(open_it, on_frame, on_error)


class CameraReader:
    """Reads a camera in a thread of its own and hands every frame on.

    The camera is opened in that thread as well: a renderer draws only in the thread of its OpenGL context.

    Args:
        open_it: Opens the camera, and returns it with its pose; None if the pose is not known.
        on_frame: Called in the thread with every frame.
        on_error: Called in the thread with the reason when a frame is missing; reading goes on.

    Attributes:
        pose: Pose of the optical frame in the frame that the camera is mounted in; None if not known.
    """

    def __init__(
        self,
        open_it: Callable[[], tuple[Camera, Transform | None]],
        on_frame: Callable[[RgbdFrame], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._open_it, self._on_frame, self._on_error = open_it, on_frame, on_error
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._failure: Exception | None = None
        self.pose: Transform | None = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def start(self) -> None:
        """Open the camera and start reading.

        Raises:
            MolmoPointError: The camera cannot be opened.
            CameraError: Opening takes longer than two minutes.
        """
        self._thread.start()
        if not self._opened.wait(OPENING_TIMEOUT_S):
            fix = "look at its driver; unplug it and try again"
            raise CameraError("The camera did not open in time", f"{OPENING_TIMEOUT_S:g} s", fix)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stop reading and close the camera."""
        self._stop.set()
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        try:
            camera, self.pose = self._open_it()
        except Exception as error:
            self._failure = error
            return
        finally:
            self._opened.set()
        with camera:
            while not self._stop.is_set():
                try:
                    frame = camera.read(timeout_s=1.0)
                except Exception as error:
                    self._on_error(error)
                    self._stop.wait(RETRY_S)
                    continue
                self._on_frame(frame)
