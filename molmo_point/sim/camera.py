"""Simulated depth cameras: a rendered scene with the holes and the noise of a stereo camera."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from molmo_point.arrays import ColorArray
from molmo_point.camera.base import Camera, wait_until_due
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.depth_faults import Appearance, DepthFaults
from molmo_point.sim.stereo_faults import D435_FAULTS, SIMULATED_D435, simulate_depth
from molmo_point.sim.unkind_faults import simulator_faults


class SimulatedCamera(Camera):
    """An RGB-D camera in simulation, with metric depth, holes and stereo noise.

    Closing the camera leaves the scene open; it belongs to the caller.

    Args:
        scene: The scene, rendered for every frame: its `render` returns color (h, w, 3) uint8 RGB and exact depth (h, w)
            float32 meters; it has `intrinsics` and a `frame`. `TabletopScene` and `ArmView` are such scenes.
        noise: Stereo geometry and disparity error; None gives exact depth.
        seed: Seed of all depth noise; two cameras with one seed deliver the same depth images.
        faults: Holes, shadows and flying pixels of the depth; `UNKIND_FAULTS` are those of real cameras.
        appearance: Gives the surface properties for a color image, such as `ClutteredScene.appearance`.
        fps: Frames per second; None returns each frame as soon as it is rendered.
        clock_ns: Capture time of a frame in nanoseconds; the host clock by default.
    """

    name = "simulated camera"

    def __init__(
        self,
        scene: Any,
        noise: DepthNoise | None = SIMULATED_D435,
        seed: int = 0,
        *,
        faults: DepthFaults = D435_FAULTS,
        appearance: Callable[[ColorArray], Appearance] = Appearance,
        fps: float | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.scene = scene
        self.noise = noise
        self._faults = faults.drawn(np.random.default_rng([seed, 2]))
        self._rng = np.random.default_rng(seed)
        self._appearance = appearance
        self._period_s = None if fps is None else 1.0 / fps
        self._clock_ns = clock_ns
        self._last_ns = 0
        self._due_s = 0.0

    def stamped_by(self, clock_ns: Callable[[], int]) -> "SimulatedCamera":
        self._clock_ns = clock_ns
        return self

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """Render the next frame; `stamp_ns` is the moment before rendering and grows from frame to frame.

        Raises:
            CameraError: The camera was closed, or at this `fps` no frame is due within `timeout_s`.
        """
        self.check_open()
        self._wait_until_due(timeout_s)
        stamp_ns = max(int(self._clock_ns()), self._last_ns + 1)
        color, depth_m = self.scene.render()
        noise, intrinsics = self.noise, self.scene.intrinsics
        if noise is not None:
            depth_m = simulate_depth(
                depth_m, intrinsics, noise, self._rng, faults=self._faults, appearance=self._appearance(color)
            )
            noise = self._faults.stated_noise(noise, intrinsics)
        self._last_ns = stamp_ns
        return RgbdFrame(
            color=color,
            depth_m=depth_m,
            intrinsics=intrinsics,
            stamp_ns=stamp_ns,
            frame=self.scene.frame,
            depth_stamp_ns=stamp_ns,
            depth_noise=noise,
        )

    def _wait_until_due(self, timeout_s: float) -> None:
        if self._period_s is None:
            return
        wait_until_due(self._due_s, timeout_s)
        now_s = time.monotonic()
        late = now_s - self._due_s > self._period_s
        self._due_s = (now_s if late else self._due_s) + self._period_s


class SimulatedTable(SimulatedCamera):
    """A simulated camera at a random tabletop that it owns and closes: `open_camera("simulated:28")`.

    Args:
        scene_seed: Seed of the scene and of the depth noise.
        width: Width of the image, in pixels.
        height: Height of the image, in pixels.
        fps: Frames per second.
        depth_noise: Give the depth the noise and the holes of a D435; False gives exact depth.
        simulator: Faults of the depth, one of `SIMULATORS`.
        toys: Toys on the table instead of solids, as `toys_in` reads them; empty for solids.
        motion: Motion of the camera around toys, as `ToyView` takes it.

    Raises:
        DependencyError: MuJoCo is missing or cannot render.
        InputError: The simulator, a toy or the motion is unknown.
    """

    def __init__(
        self,
        scene_seed: int = 0,
        *,
        width: int = 640,
        height: int = 480,
        fps: int = 10,
        depth_noise: bool = True,
        simulator: str = "kind",
        toys: str = "",
        motion: str = "",
    ) -> None:
        from molmo_point.sim.tabletop.scene import TabletopScene
        from molmo_point.sim.toys.toy_view import ToyView, toys_in

        faults = simulator_faults(simulator)
        if motion and not toys:
            raise InputError("motion must be given with toys", f"motion={motion}", "add toys=1")
        self._toys = ToyView(toys_in(toys), scene_seed, width, height, motion) if toys else None
        self._table = self._toys or TabletopScene.random(scene_seed, width, height)
        super().__init__(self._table, SIMULATED_D435 if depth_noise else None, scene_seed, faults=faults, fps=fps)
        self.name = f"simulated:{scene_seed}" + (f"?toys={toys}" if toys else "")
        self._begun = False

    @property
    def base_T_camera(self) -> Transform:
        """Pose of the camera in the last frame."""
        return self._table.base_T_camera

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        self.check_open()
        if self._toys is not None and self._begun:
            self._toys.advance()
        self._begun = True
        return super().read(timeout_s)

    def release(self) -> None:
        self._table.close()
