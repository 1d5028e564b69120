"""Cameras that a node opens itself, read in a thread of their own."""

import dataclasses
import threading
from collections.abc import Callable

from molmo_point.camera.base import Camera
from molmo_point.errors import CameraError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform, load_transform
from molmo_point_ros.nodes.parameters import CameraParameters

SIMULATED_FPS = 10
REALSENSE_FPS = 30
RETRY_S = 0.5
OPENING_TIMEOUT_S = 120.0


def open_camera(
    settings: CameraParameters, clock_ns: Callable[[], int], on_transforms: Callable[..., None] | None = None
) -> tuple[Camera, Transform | None]:
    """Open the camera that the parameters name.

    Args:
        settings: The parameters.
        clock_ns: The node's time in nanoseconds, for frames that have no capture time of their own.
        on_transforms: Takes the transforms of a bag; see `BagCamera`.

    Returns:
        The camera, and its pose in the frame it is mounted in, where that is known.

    Raises:
        MolmoPointError: If it cannot be opened.
    """
    pose = load_transform(settings.camera_transform) if settings.camera_transform else None
    if settings.camera == "simulated":
        from molmo_point.geometry.depth_noise import D435
        from molmo_point.sim import TabletopScene
        from molmo_point.sim.camera import SimulatedCamera

        scene = TabletopScene.random(settings.scene_seed, settings.width, settings.height)
        noise = D435 if settings.depth_noise else None
        camera = SimulatedCamera(scene, noise, settings.scene_seed, fps=settings.fps or SIMULATED_FPS, clock_ns=clock_ns)
        return camera, pose or scene.base_T_camera
    if settings.camera == "recording":
        from molmo_point.camera.recording import Recording

        if not settings.recording:
            raise InputError("camera=recording needs a recording", "recording=''", "set the parameter recording to its folder")
        recording = Recording(settings.recording, realtime=True, loop=True)
        return (Restamped(recording, clock_ns) if settings.restamp else recording), pose
    if settings.camera == "bag":
        return _open_bag(settings, clock_ns, on_transforms), pose
    if settings.camera == "realsense":
        from molmo_point.camera.realsense import RealSense

        rate = settings.fps or REALSENSE_FPS
        return RealSense(settings.serial or None, settings.width, settings.height, rate), pose
    raise InputError("There is no such camera to open", repr(settings.camera), "use simulated, recording, bag or realsense")


def _open_bag(settings: CameraParameters, clock_ns: Callable[[], int], on_transforms: Callable[..., None] | None) -> Camera:
    from molmo_point_ros.inputs.bag_camera import BagCamera

    if not settings.bag:
        raise InputError("camera=bag needs a recording", "bag=''", "set the parameter bag to its folder or .mcap file")
    return BagCamera(
        settings.bag,
        color_topic=settings.bag_color_topic,
        depth_topic=settings.bag_depth_topic,
        info_topic=settings.bag_info_topic,
        clock_ns=clock_ns if settings.restamp else None,
        on_transforms=on_transforms,
    )


class Restamped:
    """A camera whose frames get the time at which they are handed out; the distance of depth from colour stays."""

    def __init__(self, camera: Camera, clock_ns: Callable[[], int]) -> None:
        self._camera = camera
        self._clock_ns = clock_ns

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """The next frame, with the time of now. Raises as the camera does."""
        frame = self._camera.read(timeout_s)
        shift_ns = self._clock_ns() - frame.stamp_ns
        depth_stamp_ns = None if frame.depth_stamp_ns is None else frame.depth_stamp_ns + shift_ns
        return dataclasses.replace(frame, stamp_ns=frame.stamp_ns + shift_ns, depth_stamp_ns=depth_stamp_ns)

    def close(self) -> None:
        """Close the camera."""
        self._camera.close()

    def __enter__(self) -> "Restamped":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CameraReader:
    """Reads a camera in a thread of its own and hands every frame on.

    The camera is opened in that thread as well: a rendered one draws only where its drawing context was made.

    Args:
        open_it: Opens the camera; see `open_camera`.
        on_frame: Called in the thread with every frame.
        on_error: Called in the thread with the reason when a frame cannot be had; reading goes on.
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
            Exception: What opening the camera raised.
            CameraError: If opening takes longer than two minutes.
        """
        self._thread.start()
        if not self._opened.wait(OPENING_TIMEOUT_S):
            raise CameraError(
                "The camera did not open", f"{OPENING_TIMEOUT_S:g} s", "look at its driver; unplug it and try again"
            )
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
