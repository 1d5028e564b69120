"""Parts of toys: closed meshes with texture coordinates, and the convex pieces that touch for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from molmo_point.arrays import FloatArray, IntArray

ROUND = 32
"""Corners around a round part."""
_SHARP = np.cos(np.deg2rad(35.0))


@dataclass(frozen=True, eq=False)
class ToyPart:
    """One part of a toy, in any unit of length.

    Attributes:
        vertices: (n, 3) corners.
        faces: (k, 3) indices of corners, counterclockwise from outside.
        uv: (n, 2) texture coordinates, 0 to 1.
        pieces: Corners (m, 3) of each convex piece; together they fill the part.
        look: Number of the texture.
    """

    vertices: FloatArray
    faces: IntArray
    uv: FloatArray
    pieces: tuple[FloatArray, ...]
    look: int = 0

    def at(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "ToyPart":
        """Return the part, displaced."""
        shift = np.array([x, y, z])
        return replace(self, vertices=self.vertices + shift, pieces=tuple(piece + shift for piece in self.pieces))

    def rotated(self, rotation: FloatArray) -> "ToyPart":
        """Return the part, turned about the origin by a rotation (3, 3)."""
        turn = rotation.T
        return replace(self, vertices=self.vertices @ turn, pieces=tuple(piece @ turn for piece in self.pieces))

    def scaled(self, factor: float) -> "ToyPart":
        """Return the part, larger by a factor."""
        return replace(self, vertices=self.vertices * factor, pieces=tuple(piece * factor for piece in self.pieces))

    def painted(self, look: int) -> "ToyPart":
        """Return the part with another texture."""
        return replace(self, look=look)


def about(axis: int, angle_rad: float) -> FloatArray:
    """Rotation (3, 3) about an axis, 0 to 2."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    rotation, (i, j) = np.eye(3), ((axis + 1) % 3, (axis + 2) % 3)
    rotation[i, i] = rotation[j, j] = cosine
    rotation[i, j], rotation[j, i] = -sine, sine
    return rotation


def _grid_faces(rows: int, columns: int) -> IntArray:
    """Faces of a grid of corners, numbered row by row; columns run counterclockwise seen from the end of the rows."""
    row, column = np.divmod(np.arange((rows - 1) * (columns - 1)), columns - 1)
    a = row * columns + column
    return np.concatenate([np.stack([a, a + 1, a + columns + 1], 1), np.stack([a, a + columns + 1, a + columns], 1)])


def turned(profile: Sequence[tuple[float, float]] | FloatArray, segments: int = ROUND, look: int = 0) -> ToyPart:
    """Revolve a profile about the z axis.

    Args:
        profile: (n, 2) radius and height from bottom to top; both ends are closed with lids.
        segments: Number of corners around; below 16 the sides are flat.
        look: Number of the texture.
    """
    outline = np.asarray(profile, float)
    outline = np.concatenate([[(0.0, outline[0, 1])], outline, [(0.0, outline[-1, 1])]])
    keep = np.r_[True, np.linalg.norm(np.diff(outline, axis=0), axis=1) > 1e-9]
    outline = outline[keep]
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1))]
    steps = np.diff(outline, axis=0) / np.linalg.norm(np.diff(outline, axis=0), axis=1)[:, None]
    sharp = np.r_[False, np.sum(steps[:-1] * steps[1:], 1) < _SHARP, False]
    rings = np.repeat(np.arange(len(outline)), 1 + sharp)
    angle = np.arange(segments + 1) * 2 * np.pi / segments + np.pi / segments
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    radius, height = outline[rings].T
    vertices = np.concatenate(
        [radius[:, None, None] * circle, np.broadcast_to(height[:, None, None], (len(rings), segments + 1, 1))], 2
    )
    share = along[rings] / along[-1]
    uv = np.stack(np.meshgrid(np.arange(segments + 1) / segments, share), 2)
    mesh = vertices.reshape(-1, 3), _grid_faces(len(rings), segments + 1), uv.reshape(-1, 2)
    if segments < 16:
        mesh = _flat(*mesh)
    return ToyPart(*mesh, _turned_pieces(outline, segments), look)


def _flat(vertices: FloatArray, faces: IntArray, uv: FloatArray) -> tuple[FloatArray, IntArray, FloatArray]:
    """Give every face corners of its own, so that edges are sharp."""
    return vertices[faces.ravel()], np.arange(faces.size).reshape(-1, 3), uv[faces.ravel()]


def _turned_pieces(outline: FloatArray, segments: int) -> tuple[FloatArray, ...]:
    """Cut a revolved profile at its waists into convex pieces."""
    sides = min(segments, 16)
    angle = np.arange(sides) * 2 * np.pi / sides + np.pi / sides
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    runs, first = [], 0
    for k in range(1, len(outline) - 1):
        before, after = outline[k] - outline[k - 1], outline[k + 1] - outline[k]
        if before[0] * after[1] - before[1] * after[0] < -1e-9:
            runs.append(outline[first : k + 1])
            first = k
    runs.append(outline[first:])
    return tuple(
        np.concatenate([np.c_[r * circle, np.full(sides, z)] for r, z in run]) for run in runs if np.ptp(run[:, 1]) > 1e-6
    )


def extruded(polygon: Sequence[tuple[float, float]] | FloatArray, height: float, look: int = 0) -> ToyPart:
    """Extrude a polygon from z = 0 to a height.

    Args:
        polygon: (n, 2) corners, counterclockwise; every corner is visible from the origin.
        height: Length of the extrusion.
        look: Number of the texture.
    """
    corners = np.asarray(polygon, float)
    n = len(corners)
    following = np.roll(corners, -1, axis=0)
    around = np.r_[0.0, np.cumsum(np.linalg.norm(following - corners, axis=1))]
    around /= around[-1]
    vertices, uv = [], []
    span = np.ptp(corners, axis=0).max()
    low = corners.min(0)
    for k in range(n):
        a, b = corners[k], following[k]
        (p, q), flat = (around[k], around[k + 1]), (np.array([a, b, (0.0, 0.0)]) - low) / span
        side = [(*a, 0.0), (*b, 0.0), (*b, height), (*a, 0.0), (*b, height), (*a, height)]
        vertices += [*side, (*a, height), (*b, height), (0, 0, height), (*b, 0.0), (*a, 0.0), (0, 0, 0.0)]
        uv += [(p, 0), (q, 0), (q, 1), (p, 0), (q, 1), (p, 1), *flat, flat[1], flat[0], flat[2]]
    turns = _cross(corners - np.roll(corners, 1, axis=0), following - corners)
    if np.all(turns > -1e-12):
        flats = [corners]
    else:
        flats = [np.array([(0, 0), corners[k - 1], corners[k], following[k]]) for k in np.flatnonzero(turns > 0)]
    pieces = tuple(np.concatenate([np.c_[flat, np.zeros(len(flat))], np.c_[flat, np.full(len(flat), height)]]) for flat in flats)
    points = np.array(vertices, float)
    return ToyPart(points, np.arange(len(points)).reshape(-1, 3), np.array(uv, float), pieces, look)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def block(width: float, depth: float, height: float, look: int = 0) -> ToyPart:
    """Return a box that stands on z = 0; every side shows the whole texture."""
    vertices, uv = [], []
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, -1), (1, 1), (-1, 1)], float)
    for axis in range(3):
        for sign in (1.0, -1.0):
            corners = np.full((6, 3), sign)
            corners[:, [(axis + 1) % 3, (axis + 2) % 3]] = square if sign > 0 else square[::-1]
            up = corners[:, 2] if axis < 2 else corners[:, 1]
            across = corners[:, 1 - axis] if axis < 2 else corners[:, 0]
            uv.append(np.stack([across, up], 1) / 2 + 0.5)
            vertices.append(corners)
    points = (np.concatenate(vertices) + np.array([0, 0, 1])) * (width / 2, depth / 2, height / 2)
    return ToyPart(points, np.arange(36).reshape(-1, 3), np.concatenate(uv), (np.unique(points, axis=0),), look)


def ridge(width: float, depth: float, height: float, overhang: float = 0.0, look: int = 0) -> ToyPart:
    """Return a roof with its ridge along x that stands on z = 0."""
    half = 0.5 * depth + overhang
    part = extruded([(-half, -height / 2), (half, -height / 2), (0.0, height / 2)], width + 2 * overhang, look)
    # The extrusion lies along x, its second axis upwards.
    turn = np.array([[0, 0, 1.0], [1.0, 0, 0], [0, 1.0, 0]])
    return part.rotated(turn).at(-0.5 * width - overhang, 0, height / 2)


def tube(path: FloatArray, radii: float | FloatArray, segments: int = 16, look: int = 0) -> ToyPart:
    """Return a tube along a path (n, 3) that bends in one plane, closed at both ends, with its pieces between bends."""
    path = np.asarray(path, float)
    radius = np.broadcast_to(np.asarray(radii, float), len(path))
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    axes = np.linalg.svd(path - path.mean(0))[2]
    normal = axes[2] if abs(along @ axes[2]).max() < 1e-6 else axes[1]
    side = np.cross(normal, along)
    angle = np.arange(segments + 1) * 2 * np.pi / segments
    ring = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * np.cross(along, side)[:, None]
    rings = path[:, None] + radius[:, None, None] * ring
    ends = [np.broadcast_to(path[k], (1, segments + 1, 3)) for k in (0, -1)]
    # The first and the last ring come twice: their edges are sharp.
    stack = np.concatenate([ends[0], rings[:1], rings, rings[-1:], ends[1]])
    share = np.r_[0, 0, np.linspace(0, 1, len(path)), 1, 1]
    uv = np.stack(np.meshgrid(np.arange(segments + 1) / segments, share), 2)
    bends = np.sum(along[:-1] * along[1:], 1) < 1 - 1e-9
    cuts = [
        0,
        *(k for k in range(1, len(path) - 1) if (bends[k - 1] and k % 2 == 0) or radius[k] < min(radius[k - 1], radius[k + 1])),
        len(path) - 1,
    ]
    pieces = tuple(rings[a : b + 1, :-1:2].reshape(-1, 3) for a, b in pairwise(cuts))
    return ToyPart(stack.reshape(-1, 3), _grid_faces(len(stack), segments + 1), uv.reshape(-1, 2), pieces, look)


def rounded(half: Sequence[float], square: tuple[float, float] = (1.0, 1.0), look: int = 0) -> ToyPart:
    """Return a superquadric around the origin.

    Args:
        half: Half extents (3,).
        square: Exponents from top to bottom and around; 1 is an ellipsoid, below it turns square, 2 is an octahedron.
        look: Number of the texture.
    """
    rows, columns = 17, 29
    lift, turn = np.meshgrid(np.linspace(-np.pi / 2, np.pi / 2, rows), np.linspace(-np.pi, np.pi, columns), indexing="ij")

    def power(value: FloatArray, exponent: float) -> FloatArray:
        # A sine of pi is not quite zero; a small power would make it large.
        return np.sign(value) * np.where(np.abs(value) < 1e-9, 0.0, np.abs(value)) ** exponent

    flat = power(np.cos(lift), square[0])
    points = np.stack(
        [flat * power(np.cos(turn), square[1]), flat * power(np.sin(turn), square[1]), power(np.sin(lift), square[0])], 2
    )
    points = (points * np.asarray(half, float)).reshape(-1, 3)
    uv = np.stack([turn / (2 * np.pi) + 0.5, lift / np.pi + 0.5], 2).reshape(-1, 2)
    coarse = points.reshape(rows, columns, 3)[::2, ::2].reshape(-1, 3)
    return ToyPart(points, _grid_faces(rows, columns), uv, (coarse,), look)


def rod(length: float, radius: float, segments: int = ROUND, look: int = 0) -> ToyPart:
    """Return a cylinder along x around the origin."""
    return turned([(radius, -length / 2), (radius, length / 2)], segments, look).rotated(about(1, np.pi / 2))
