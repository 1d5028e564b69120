"""A toy on a table: its pose, its body in MuJoCo, and distances to its surface."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.toys.toy import Toy, toy_model

_TOUCHED_GROUP = 3
_PIECES_ALPHA = 0.0


@dataclass(frozen=True)
class PlacedToy:
    """A toy at a place.

    Attributes:
        toy: The toy.
        position_base_m: Position (3,) of its origin, in the middle of its underside, base frame, meters.
        quat: Rotation from its own axes to the base frame, (w, x, y, z).
    """

    toy: Toy
    position_base_m: tuple[float, float, float]
    quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    @property
    def name(self) -> str:
        """Invented name of the toy."""
        return self.toy.name

    @property
    def shape(self) -> str:
        """Form of the toy, one of `FORMS`."""
        return self.toy.form

    @property
    def width_m(self) -> float:
        """Narrowest horizontal extent of the standing toy, meters: the opening that a gripper needs at most."""
        return toy_model(self.toy).width_m

    @property
    def footprint_radius_m(self) -> float:
        """Radius of the circle around the footprint of the standing toy, meters."""
        return toy_model(self.toy).radius_m

    @property
    def vertices_m(self) -> FloatArray:
        """Corners (n, 3) of its mesh, base frame, meters."""
        return toy_model(self.toy).vertices_m @ _rotation(self.quat).T + self.position_base_m

    def signed_distance(self, points_m: FloatArray) -> FloatArray:
        """Distance (...) of points (..., 3), base frame, from its surface, meters; negative inside."""
        corners = self.vertices_m[toy_model(self.toy).faces]
        points = np.asarray(points_m, float).reshape(-1, 3)
        away = np.array([_distance(point, corners) for point in points])
        inside = np.array([_winding(point, corners) > 0.5 for point in points], bool)
        return np.where(inside, -away, away).reshape(np.shape(points_m)[:-1])


def standing(toy: Toy, xy_m: tuple[float, float], yaw_rad: float) -> PlacedToy:
    """Stand a toy at a place of the table, turned about the vertical."""
    return PlacedToy(toy, (*xy_m, 0.0), (float(np.cos(yaw_rad / 2)), 0.0, 0.0, float(np.sin(yaw_rad / 2))))


def add_toy(spec: Any, item: PlacedToy, name: str, seen: str, free: bool = False) -> None:
    """Add a toy to an ``MjSpec``.

    Args:
        spec: Specification of the world.
        item: The toy and its pose.
        name: Name of its body, and of its joint.
        seen: Name of the geom that a camera sees.
        free: True lets it be pushed, lifted and dropped.
    """
    mujoco, model = import_mujoco(), toy_model(item.toy)
    body = spec.worldbody.add_body(name=name, pos=list(item.position_base_m), quat=list(item.quat))
    height, width, _ = model.texture.shape
    look = spec.add_texture(name=f"{name}_look", type=mujoco.mjtTexture.mjTEXTURE_2D, width=width, height=height, nchannel=3)
    look.data = np.ascontiguousarray(model.texture).tobytes()
    material = spec.add_material(name=f"{name}_look", specular=0.2, shininess=0.3)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"{name}_look"
    mesh = spec.add_mesh(name=f"{name}_mesh", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    mesh.uservert, mesh.userface = model.vertices_m.astype(np.float32).ravel(), model.faces.astype(np.int32).ravel()
    mesh.usertexcoord = model.uv.astype(np.float32).ravel()
    mesh.userfacetexcoord = model.faces.astype(np.int32).ravel()
    body.add_geom(
        name=seen, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=f"{name}_mesh", material=f"{name}_look", mass=0.0,
        contype=0, conaffinity=0,
    )  # fmt: skip
    if not free:
        return
    body.add_freejoint(name=name)
    # The mesh is visible; its convex pieces have the weight and touch.
    for number, piece in enumerate(model.pieces_m):
        hull = spec.add_mesh(name=f"{name}_piece_{number}", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX)
        hull.uservert = piece.astype(np.float32).ravel()
        body.add_geom(
            name=f"{name}_piece_{number}", type=mujoco.mjtGeom.mjGEOM_MESH, meshname=hull.name, group=_TOUCHED_GROUP,
            rgba=[1.0, 1.0, 1.0, _PIECES_ALPHA], density=model.density_kg_m3, condim=6,
            friction=[model.friction, 0.005, 0.0008],
        )  # fmt: skip


def _rotation(quat: tuple[float, float, float, float]) -> FloatArray:
    matrix = np.zeros(9)
    import_mujoco().mju_quat2Mat(matrix, np.array(quat))
    return matrix.reshape(3, 3)


def _distance(point: FloatArray, corners: FloatArray) -> float:
    """Distance of a point (3,) from triangles (k, 3, 3)."""
    edges = np.roll(corners, -1, axis=1) - corners
    away = point - corners
    share = np.sum(away * edges, 2) / np.maximum(np.sum(edges * edges, 2), 1e-18)
    to_edges = np.linalg.norm(away - np.clip(share, 0, 1)[..., None] * edges, axis=2).min()
    normal = np.cross(edges[:, 0], edges[:, 1])
    length = np.linalg.norm(normal, axis=1)
    over = np.all(np.sum(np.cross(edges, away) * normal[:, None], 2) >= 0, axis=1) & (length > 1e-12)
    height = np.abs(np.sum(away[:, 0] * normal, 1)) / np.maximum(length, 1e-12)
    return float(min(to_edges, height[over].min(initial=np.inf)))


def _winding(point: FloatArray, corners: FloatArray) -> float:
    """Number of times that triangles (k, 3, 3) enclose a point (3,), by their solid angle."""
    a, b, c = np.moveaxis(corners - point, 1, 0)
    la, lb, lc = (np.linalg.norm(each, axis=1) for each in (a, b, c))
    below = la * lb * lc + np.sum(a * b, 1) * lc + np.sum(b * c, 1) * la + np.sum(c * a, 1) * lb
    return float(np.sum(2 * np.arctan2(np.sum(a * np.cross(b, c), 1), below)) / (4 * np.pi))
