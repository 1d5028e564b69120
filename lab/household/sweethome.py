"""Reads furniture libraries of Sweet Home 3D (``.sh3f``): the catalogue, OBJ meshes and MTL materials."""

import io
import re
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from molmo_point.errors import InputError

_CATALOGUE = "PluginFurnitureCatalog.properties"


@dataclass(frozen=True)
class CatalogueModel:
    """One model as the library describes it.

    Attributes:
        path: OBJ file within the library.
        size_m: Width, depth, height (3,), meters.
        creator: Who made it.
        rotation: (3, 3) applied to the file's own axes before anything else.
    """

    path: str
    size_m: tuple[float, float, float]
    creator: str
    rotation: np.ndarray


@dataclass(frozen=True)
class Material:
    """One MTL material: color (3,) in [0, 1], opacity in [0, 1], RGB texture (h, w, 3) uint8 or None."""

    rgb: tuple[float, float, float]
    opacity: float
    texture: np.ndarray | None


@dataclass(frozen=True)
class MaterialMesh:
    """The triangles of one material.

    Attributes:
        material: Its look.
        vertices_m: (n, 3) meters, z up, standing on z = 0, centered on x and y.
        faces: (m, 3) int.
        uv: (n, 2) texture coordinates, origin at the lower left; zeros where there are none.
    """

    material: Material
    vertices_m: np.ndarray
    faces: np.ndarray
    uv: np.ndarray


class FurnitureLibrary:
    """An opened ``.sh3f`` file.

    Raises:
        InputError: The file is no furniture library.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            text = self._zip.read(_CATALOGUE).decode("latin-1")
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise InputError("This is no furniture library", f"{path}: {error}", "give a .sh3f file") from error
        self.name = path.stem
        self.models = {model.path: model for model in _catalogue(text)}
        self._files = {name.lower(): name for name in self._zip.namelist()}

    def meshes(self, model: CatalogueModel) -> list[MaterialMesh]:
        """The model's meshes by material, scaled to its catalogue size."""
        corners, used, library = _read_obj(self._text(model.path))
        folder = model.path.rpartition("/")[0]
        materials = self._materials(folder, library)
        vertices, faces_of, uv = corners
        vertices = vertices @ model.rotation.T
        vertices = np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1]], axis=1)
        seen = np.unique(np.concatenate(list(faces_of.values()))[..., 0])
        low, high = vertices[seen].min(0), vertices[seen].max(0)
        vertices = (vertices - [*((low + high) / 2)[:2], low[2]]) * (np.array(model.size_m) / np.maximum(high - low, 1e-9))
        grey = Material((0.7, 0.7, 0.7), 1.0, None)
        return [_split(vertices, uv, faces_of[name], materials.get(name, grey)) for name in used]

    def licence_text(self) -> str:
        """The library's own license file."""
        return self._zip.read("LICENSE.TXT").decode("utf-8", "replace")

    def _text(self, path: str) -> str:
        return self._zip.read(self._files[path.lower()]).decode("latin-1")

    def _materials(self, folder: str, library: str) -> dict[str, Material]:
        if f"{folder}/{library}".lower() not in self._files:
            return {}
        materials: dict[str, Material] = {}
        for block in re.split(r"^\s*newmtl\s+", self._text(f"{folder}/{library}"), flags=re.MULTILINE)[1:]:
            name, _, body = block.partition("\n")
            rgb = re.search(r"^\s*Kd\s+(\S+)\s+(\S+)\s+(\S+)", body, re.MULTILINE)
            opacity = re.search(r"^\s*d\s+(\S+)", body, re.MULTILINE)
            picture = re.search(r"^\s*map_Kd\s+(.+?)\s*$", body, re.MULTILINE)
            red, green, blue = (float(v) for v in rgb.groups()) if rgb else (0.8, 0.8, 0.8)
            materials[name.strip()] = Material(
                rgb=(red, green, blue),
                opacity=float(opacity[1]) if opacity else 1.0,
                texture=self._texture(folder, picture[1]) if picture else None,
            )
        return materials

    def _texture(self, folder: str, name: str) -> np.ndarray | None:
        from PIL import Image

        inside = self._files.get(f"{folder}/{name.split()[-1]}".lower())
        if inside is None:
            return None
        return np.asarray(Image.open(io.BytesIO(self._zip.read(inside))).convert("RGB"))


def _catalogue(text: str) -> list[CatalogueModel]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            values[key.strip()] = value.strip()
    models = []
    for number in range(1, 10_000):
        if f"model#{number}" not in values:
            break
        size = [float(values[f"{side}#{number}"]) / 100 for side in ("width", "depth", "height")]
        turn = values.get(f"modelRotation#{number}", "1 0 0 0 1 0 0 0 1").split()
        models.append(
            CatalogueModel(
                path=values[f"model#{number}"].strip("/"),
                size_m=(size[0], size[1], size[2]),
                creator=values.get(f"creator#{number}", ""),
                rotation=np.array(turn, float).reshape(3, 3),
            )
        )
    return models


_Corners = tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]


def _read_obj(text: str) -> tuple[_Corners, list[str], str]:
    """Vertices, triangles (m, 3 corners, vertex and uv index) by material and uv; materials used; MTL name."""
    vertices: list[list[float]] = []
    uv: list[list[float]] = [[0.0, 0.0]]
    faces: dict[str, list[list[tuple[int, int]]]] = {}
    current, library = "", ""
    for line in text.replace("\\\n", " ").splitlines():
        kind, _, rest = line.strip().partition(" ")
        if kind == "v":
            vertices.append([float(v) for v in rest.split()[:3]])
        elif kind == "vt":
            uv.append([float(v) for v in rest.split()[:2]])
        elif kind == "usemtl":
            current = rest.strip()
        elif kind == "mtllib":
            library = rest.strip()
        elif kind == "f":
            corners = [_corner(word, len(vertices), len(uv)) for word in rest.split()]
            fan = faces.setdefault(current, [])
            fan.extend([corners[0], b, c] for b, c in pairwise(corners[1:]))
    arrays = {name: np.array(value, np.int64) for name, value in faces.items() if value}
    return (np.array(vertices), arrays, np.array(uv)), list(arrays), library


def _corner(word: str, vertices: int, uvs: int) -> tuple[int, int]:
    parts = word.split("/")
    vertex = int(parts[0])
    uv = int(parts[1]) if len(parts) > 1 and parts[1] else 0
    # Negative numbers count back from the latest; our uv list starts with one for "none".
    return (vertex - 1 if vertex > 0 else vertices + vertex, uv if uv >= 0 else uvs + uv)


def _split(vertices: np.ndarray, uv: np.ndarray, faces: np.ndarray, material: Material) -> MaterialMesh:
    if material.texture is None:
        faces = faces * [1, 0]
    pairs, index = np.unique(faces.reshape(-1, 2), axis=0, return_inverse=True)
    return MaterialMesh(material, vertices[pairs[:, 0]], index.reshape(-1, 3), uv[pairs[:, 1]])
