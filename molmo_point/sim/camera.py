"""A camera that looks at a rendered scene and sees it as a stereo depth camera would."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

import numpy as np

from molmo_point.depth.uncertainty import D435, DepthNoise
from molmo_point.errors import CameraError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.sim.stereo_faults import D435_FAULTS, StereoFaults, simulate_depth


class RenderedScene(Protocol):
    """What a scene must offer to be looked at (`sim.TabletopScene` does)."""

    intrinsics: Intrinsics
    frame: str

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """Colour (h, w, 3) uint8 RGB and perfect depth (h, w) float32 metres."""
        ...


class SimulatedCamera:
    """An RGB-D camera in simulation, with metric depth, holes and stereo noise.

    Args:
        scene: what it looks at; rendered anew for every frame.
        noise: stereo geometry and disparity error; None gives perfect depth.
        seed: of all depth noise; two cameras with one seed deliver the same depth images.
        faults: holes, shadows, flying pixels and the like.
        fps: if given, `read` keeps to this rate; otherwise it returns as soon as the scene is rendered.
        clock_ns: capture time of a frame in nanoseconds; the host clock by default.
    """

    def __init__(
        self,
        scene: RenderedScene,
        noise: DepthNoise | None = D435,
        seed: int = 0,
        *,
        faults: StereoFaults = D435_FAULTS,
        fps: float | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.scene = scene
        self.noise = noise
        self._faults = faults
        self._rng = np.random.default_rng(seed)
        self._period_s = None if fps is None else 1.0 / fps
        self._clock_ns = clock_ns
        self._last_ns = 0
        self._due_s = 0.0
        self._closed = False

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """Renders the next frame; `stamp_ns` is the moment before rendering and grows from frame to frame.

        Raises:
            CameraError: the camera was closed, or at this `fps` no frame is due within `timeout_s`.
        """
        if self._closed:
            raise CameraError(
                "The simulated camera is closed",
                "read() after close()",
                "read before close(), or make a new SimulatedCamera",
            )
        self._wait_until_due(timeout_s)
        stamp_ns = max(int(self._clock_ns()), self._last_ns + 1)
        color, depth_m = self.scene.render()
        if self.noise is not None:
            depth_m = simulate_depth(depth_m, self.scene.intrinsics, self.noise, self._rng, faults=self._faults)
        self._last_ns = stamp_ns
        return RgbdFrame(
            color=color,
            depth_m=depth_m,
            intrinsics=self.scene.intrinsics,
            stamp_ns=stamp_ns,
            frame=self.scene.frame,
            depth_stamp_ns=stamp_ns,
            depth_noise=self.noise,
        )

    def _wait_until_due(self, timeout_s: float) -> None:
        if self._period_s is None:
            return
        wait_s = self._due_s - time.monotonic()
        if wait_s > timeout_s:
            raise CameraError(
                "No frame came in time",
                given=f"timeout_s={timeout_s:g}, next frame in {wait_s:.3f} s",
                fix="raise timeout_s or fps",
            )
        if wait_s > 0:
            time.sleep(wait_s)
        now_s = time.monotonic()
        late = now_s - self._due_s > self._period_s
        self._due_s = (now_s if late else self._due_s) + self._period_s

    def close(self) -> None:
        """Ends the camera; the scene belongs to the caller and stays open."""
        self._closed = True

    def __enter__(self) -> "SimulatedCamera":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
