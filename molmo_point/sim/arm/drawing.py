"""Drawing of the simulated arm elsewhere: its shapes and their poses, and a film of its motion in a side view."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.sim.arm.camera_view import OBSERVER
from molmo_point.sim.arm.containers import lathe
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.mujoco_import import import_mujoco, open_renderer

_VISIBLE_GROUPS = 3
_PLANE, _SPHERE, _CYLINDER, _BOX, _MESH = 0, 2, 5, 6, 7
_FLOOR = "floor"
_GRID_M = 0.004
"""Cell of the grid that thins meshes to one vertex per cell, meters."""
_FILM_SIZE_WH = (640, 480)


@dataclass(frozen=True, eq=False)
class BodyShape:
    """A visible geom.

    Attributes:
        name: Unique name.
        geom: Number in the model.
        vertices_m: (n, 3) vertices, meters, in its own frame.
        faces: (m, 3) indices of vertices.
        rgb: Color, 0 to 255.
    """

    name: str
    geom: int
    vertices_m: NDArray[np.float32]
    faces: NDArray[np.int32]
    rgb: tuple[int, int, int]


def body_shapes(arm: SimulatedArm) -> list[BodyShape]:
    """All shapes that the cameras see, except the floor and the walls."""
    model, shapes = arm.model, []
    for geom in range(model.ngeom):
        name = model.geom(geom).name or f"geom_{geom}"
        if model.geom_group[geom] >= _VISIBLE_GROUPS or model.geom_rgba[geom, 3] < 0.1 or name.startswith((_FLOOR, "wall")):
            continue
        outline = _outline(model, geom)
        if outline is None or len(outline[1]) == 0:
            continue
        material = model.geom_matid[geom]
        tint = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
        red, green, blue = (round(255 * float(value)) for value in np.clip(tint[:3], 0, 1))
        shapes.append(BodyShape(f"{geom}_{name.replace('/', '_')}", geom, *outline, (red, green, blue)))
    return shapes


def shape_pose(arm: SimulatedArm, shape: BodyShape) -> tuple[FloatArray, FloatArray]:
    """Pose of a shape now: rotation (3, 3) and position (3,), meters, in the base frame."""
    return arm.data.geom_xmat[shape.geom].reshape(3, 3).copy(), arm.data.geom_xpos[shape.geom].copy()


def _outline(model: Any, geom: int) -> tuple[NDArray[np.float32], NDArray[np.int32]] | None:
    kind, size = int(model.geom_type[geom]), np.asarray(model.geom_size[geom])
    if kind == _MESH:
        mesh = int(model.geom_dataid[geom])
        vertex, face = int(model.mesh_vertadr[mesh]), int(model.mesh_faceadr[mesh])
        vertices = model.mesh_vert[vertex : vertex + model.mesh_vertnum[mesh]]
        return thinned(vertices, model.mesh_face[face : face + model.mesh_facenum[mesh]], _GRID_M)
    if kind == _BOX:
        vertices, faces = _box(size)
    elif kind == _SPHERE:
        vertices, faces = lathe(np.array([[np.sin(a), -np.cos(a)] for a in np.linspace(0, np.pi, 13)]) * size[0])
    elif kind == _CYLINDER:
        vertices, faces = lathe(np.array([[0, -size[1]], [size[0], -size[1]], [size[0], size[1]], [0, size[1]]]))
    else:
        return None
    return vertices.astype(np.float32), faces.astype(np.int32)


def thinned(
    vertices: NDArray[np.floating], faces: NDArray[np.integer], grid_m: float
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Thin a mesh to one vertex, the mean, in each cell of a grid; faces that vanish are dropped."""
    cells = np.floor(np.asarray(vertices, dtype=np.float64) / grid_m).astype(np.int64)
    _, cell_of = np.unique(cells, axis=0, return_inverse=True)
    cell_of = cell_of.reshape(-1)
    counts = np.bincount(cell_of)
    means = np.stack([np.bincount(cell_of, weights=vertices[:, axis]) / counts for axis in range(3)], axis=1)
    kept = cell_of[faces]
    whole = (kept[:, 0] != kept[:, 1]) & (kept[:, 1] != kept[:, 2]) & (kept[:, 0] != kept[:, 2])
    return means.astype(np.float32), np.unique(kept[whole], axis=0).astype(np.int32)


def _box(half: FloatArray) -> tuple[FloatArray, IntArray]:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in sides for triangle in ((a, b, c), (a, c, d))]
    return corners, np.array(faces)


class ArmFilm:
    """Remembers positions, and draws them later; drawing costs a hundred times more.

    Args:
        arm: The arm.
        fps: Pictures per simulated second.

    Attributes:
        view: The observer's view; its `intrinsics` and `pose` fit pictures of the arm's own image size.
    """

    def __init__(self, arm: SimulatedArm, fps: float = 8.0) -> None:
        self._model = arm.model
        self._period_ns = round(1e9 / fps)
        self._next_ns = 0
        self._moments: list[tuple[int, FloatArray]] = []
        self.view = arm.view(OBSERVER)

    def record(self, arm: SimulatedArm) -> None:
        """Remember this moment, if one is due; for `SimulatedArm(on_tick=...)`."""
        now_ns = arm.now_ns()
        if now_ns >= self._next_ns:
            # Half a step early is better than a step late.
            self._next_ns = now_ns + self._period_ns - 1_000_000
            self._moments.append((now_ns, arm.data.qpos.copy()))

    def clear(self) -> None:
        """Forget all moments; the next one is due at once."""
        self._moments.clear()
        self._next_ns = 0

    def __len__(self) -> int:
        return len(self._moments)

    def pictures(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Draw all moments in order: the arm's time in nanoseconds, and (480, 640, 3) uint8 RGB.

        Raises:
            DependencyError: OpenGL is not available.
        """
        mujoco = import_mujoco()
        data = mujoco.MjData(self._model)
        renderer: Any = open_renderer(self._model, *_FILM_SIZE_WH)
        try:
            # Shadows are three times slower without a graphics card.
            renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
            for stamp_ns, positions in list(self._moments):
                data.qpos[:] = positions
                mujoco.mj_kinematics(self._model, data)
                mujoco.mj_camlight(self._model, data)
                renderer.update_scene(data, camera=OBSERVER)
                yield stamp_ns, renderer.render().copy()
        finally:
            renderer.close()
