"""How a simulated arm moved, remembered cheaply while it moves and drawn afterwards, seen from aside."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.sim.arm.camera_view import OBSERVER
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.mujoco_import import import_mujoco, open_renderer


class ArmFilm:
    """Remembers where everything was; drawing costs a hundred times more and can wait.

    Args:
        arm: Whose model is drawn.
        fps: Pictures per simulated second.
        width: Of the pictures, pixels.
        height: Likewise.
        shadows: Drawn as well; three times slower without a graphics card.

    Attributes:
        view: Of the observer's camera: its `intrinsics` and `pose` belong to the pictures if the size is the arm's own.
    """

    def __init__(
        self, arm: SimulatedArm, fps: float = 8.0, width: int = 640, height: int = 480, *, shadows: bool = False
    ) -> None:
        self._model, self._size, self._shadows = arm.model, (width, height), shadows
        self._period_ns = round(1e9 / fps)
        self._next_ns = 0
        self._moments: list[tuple[int, FloatArray]] = []
        self.view = arm.view(OBSERVER)

    def record(self, arm: SimulatedArm) -> None:
        """Remember this moment, if one is due; made for `SimulatedArm(on_tick=...)`."""
        now_ns = arm.now_ns()
        if now_ns >= self._next_ns:
            # Half a step early is better than a step late.
            self._next_ns = now_ns + self._period_ns - 1_000_000
            self._moments.append((now_ns, arm.data.qpos.copy()))

    def clear(self) -> None:
        """Forget what was remembered; the next moment is due at once."""
        self._moments.clear()
        self._next_ns = 0

    def __len__(self) -> int:
        return len(self._moments)

    def pictures(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Draw everything in order: the arm's time in nanoseconds, and (h, w, 3) uint8 RGB.

        Raises:
            DependencyError: There is no OpenGL.
        """
        mujoco = import_mujoco()
        data = mujoco.MjData(self._model)
        renderer: Any = open_renderer(self._model, *self._size)
        try:
            renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = int(self._shadows)
            for stamp_ns, positions in list(self._moments):
                data.qpos[:] = positions
                mujoco.mj_kinematics(self._model, data)
                mujoco.mj_camlight(self._model, data)
                renderer.update_scene(data, camera=OBSERVER)
                yield stamp_ns, renderer.render().copy()
        finally:
            renderer.close()
