"""From the many materials of a modelled object to a few light meshes that MuJoCo draws quickly.

Plain materials share one mesh whose texture is a palette; the largest plain one stays apart where the object may be
repainted; see-through ones share another; every picture keeps a mesh of its own.
"""

import importlib
from typing import Any

import numpy as np

from lab.household.asset_pack import AssetPart
from lab.household.colors import color_shares
from lab.household.sweethome import Material, MaterialMesh
from molmo_point.errors import DependencyError

_CELL_PX = 4
_CLEAR_BELOW = 0.85
_MAX_PICTURES = 4
_FEWEST_TRIANGLES = 24


def asset_parts(
    meshes: list[MaterialMesh], shrink: float, triangles: int, texture_px: int, paintable: bool
) -> tuple[AssetPart, ...]:
    """Groups, simplifies and scales the meshes of one object.

    Args:
        meshes: One for every material.
        shrink: Factor on all lengths.
        triangles: At most so many for the whole object, about.
        texture_px: Longest side of a texture, pixels.
        paintable: Whether its largest plain part may be repainted.
    """
    meshes = [mesh for mesh in meshes if mesh.material.opacity > 0.02 and _areas(mesh.vertices_m, mesh.faces).sum() > 0]
    total = sum(len(mesh.faces) for mesh in meshes)
    share = min(1.0, triangles / max(total, 1))
    light = [_simplified(mesh, share) for mesh in meshes]
    by_area = sorted(light, key=lambda mesh: -float(_areas(mesh.vertices_m, mesh.faces).sum()))
    pictures = [mesh for mesh in by_area if mesh.material.texture is not None]
    kept, spare = pictures[:_MAX_PICTURES], pictures[_MAX_PICTURES:]
    plain = [mesh for mesh in by_area if mesh.material.texture is None]
    plain += [_without_picture(mesh) for mesh in spare]
    clear = [mesh for mesh in plain if mesh.material.opacity < _CLEAR_BELOW]
    solid = [mesh for mesh in plain if mesh.material.opacity >= _CLEAR_BELOW]
    parts = [_picture_part(mesh, texture_px) for mesh in kept]
    if paintable and solid and not (kept and by_area[0] is kept[0]):
        main = solid.pop(0)
        parts.append(AssetPart(main.vertices_m, main.faces, np.zeros_like(main.uv), main.material.rgb, 1.0, None, paint=True))
    parts += [_palette_part(group) for group in (solid, clear) if group]
    return tuple(_stored(part, shrink) for part in parts)


def surface_colors(parts: tuple[AssetPart, ...]) -> dict[str, float]:
    """Color words of an object and the share of its surface that each covers."""
    colors, weights = [], []
    for part in parts:
        areas = _areas(part.vertices_m, part.faces)
        if part.texture is None:
            colors.append(np.array([part.rgb]))
            weights.append(np.array([areas.sum()]))
            continue
        height, width = part.texture.shape[:2]
        middle = part.uv[part.faces].mean(1) % 1.0
        rows = np.clip(((1 - middle[:, 1]) * height).astype(int), 0, height - 1)
        columns = np.clip((middle[:, 0] * width).astype(int), 0, width - 1)
        # One sample a triangle misses what is drawn on large ones: average over a small neighbourhood.
        radius = max(1, min(height, width) // 24) if min(height, width) > 2 * _CELL_PX else 0
        near = [np.clip(rows + i, 0, height - 1) for i in (-radius, 0, radius)]
        across = [np.clip(columns + j, 0, width - 1) for j in (-radius, 0, radius)]
        samples = [part.texture[i, j] for i in near for j in across]
        colors += [sample / 255.0 * np.array(part.rgb) for sample in samples]
        weights += [areas / len(samples)] * len(samples)
    clear = sum(float(_areas(p.vertices_m, p.faces).sum()) for p in parts if p.opacity < 1)
    share = clear / max(sum(float(w.sum()) for w in weights), 1e-12)
    shares = color_shares(np.concatenate(colors), np.concatenate(weights))
    if share < 0.2:
        return shares
    # Glass has no color of its own, so no word for it is certain.
    return {word: round(value * (1 - 0.5 * share), 3) for word, value in shares.items()} | {"clear": round(0.5 * share, 3)}


def _areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def _simplified(mesh: MaterialMesh, share: float) -> MaterialMesh:
    wanted = max(_FEWEST_TRIANGLES, int(len(mesh.faces) * share))
    if len(mesh.faces) <= wanted:
        return mesh
    simplify: Any = _simplifier().Simplify()
    # Corners that differ in their picture coordinates are different vertices, so that seams are borders, and kept.
    textured = mesh.material.texture is not None
    simplify.setMesh(mesh.vertices_m * 1000, mesh.faces)
    simplify.simplify_mesh(target_count=wanted, aggressiveness=6, preserve_border=textured, verbose=False)
    vertices, faces, _ = simplify.getMesh()
    # Thin parts like bristles come out with spikes.
    vertices = np.clip(np.asarray(vertices) / 1000, mesh.vertices_m.min(0), mesh.vertices_m.max(0))
    if len(faces) < 4:
        return mesh
    return MaterialMesh(
        mesh.material, vertices, np.asarray(faces), _carried_uv(mesh, vertices) if textured else vertices[:, :2] * 0
    )


def _carried_uv(mesh: MaterialMesh, vertices: np.ndarray) -> np.ndarray:
    nearest = np.empty(len(vertices), int)
    for start in range(0, len(vertices), 256):
        gap = vertices[start : start + 256, None] - mesh.vertices_m[None]
        nearest[start : start + 256] = (gap**2).sum(-1).argmin(1)
    return mesh.uv[nearest]


def _simplifier() -> Any:
    try:
        return importlib.import_module("pyfqmr")
    except ImportError as error:
        raise DependencyError("Building a pack needs a mesh simplifier", str(error), "pip install pyfqmr") from error


def _without_picture(mesh: MaterialMesh) -> MaterialMesh:
    texture = mesh.material.texture
    mean = (texture if texture is not None else np.full((1, 1, 3), 200)).reshape(-1, 3).mean(0) / 255
    material = Material((float(mean[0]), float(mean[1]), float(mean[2])), mesh.material.opacity, None)
    return MaterialMesh(material, mesh.vertices_m, mesh.faces, mesh.uv * 0)


def _picture_part(mesh: MaterialMesh, texture_px: int) -> AssetPart:
    from PIL import Image

    assert mesh.material.texture is not None
    picture = Image.fromarray(mesh.material.texture)
    picture.thumbnail((texture_px, texture_px), Image.Resampling.BOX)
    return AssetPart(mesh.vertices_m, mesh.faces, mesh.uv, (1.0, 1.0, 1.0), mesh.material.opacity, np.asarray(picture))


def _palette_part(meshes: list[MaterialMesh]) -> AssetPart:
    """Join parts of many plain materials: each reads its own cell of a strip of colors."""
    count = len(meshes)
    strip = np.zeros((_CELL_PX, _CELL_PX * count, 3), np.uint8)
    vertices, faces, uv, first = [], [], [], 0
    for index, mesh in enumerate(meshes):
        strip[:, index * _CELL_PX : (index + 1) * _CELL_PX] = np.round(np.clip(mesh.material.rgb, 0, 1) * np.array(255.0))
        vertices.append(mesh.vertices_m)
        faces.append(mesh.faces + first)
        uv.append(np.tile([(index + 0.5) / count, 0.5], (len(mesh.vertices_m), 1)))
        first += len(mesh.vertices_m)
    opacity = float(np.mean([mesh.material.opacity for mesh in meshes]))
    opacity = 1.0 if opacity >= _CLEAR_BELOW else max(opacity, 0.3)
    joined = (np.concatenate(vertices), np.concatenate(faces), np.concatenate(uv))
    if count == 1:
        return AssetPart(*joined[:2], joined[2] * 0, meshes[0].material.rgb, opacity, None)
    return AssetPart(*joined, (1.0, 1.0, 1.0), opacity, strip)


def _stored(part: AssetPart, shrink: float) -> AssetPart:
    vertices = (part.vertices_m * shrink).astype(np.float32)
    look = (part.rgb, part.opacity, part.texture, part.paint)
    return AssetPart(vertices, part.faces.astype(np.int32), part.uv.astype(np.float32), *look)
