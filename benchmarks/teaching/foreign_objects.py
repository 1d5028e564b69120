"""Objects from meshes of other projects' packages: robosuite, PyBullet and Genesis, unpacked into a folder.

Nothing of them is part of this repository; their packages state their licences.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from lab.household.asset_pack import Asset, AssetPart
from lab.household.colors import PAINTS
from molmo_point.dependencies import require

_MESHES = (
    *(
        f"robosuite/models/assets/objects/meshes/{n}.obj"
        for n in ("bottle", "bread", "can", "cereal", "handles", "lemon", "milk")
    ),
    *(f"pybullet_data/{n}.obj" for n in ("duck", "soccerball", "teddy2_VHACD_CHs", "bunny", "textured_sphere_smooth", "stone")),
    *(f"pybullet_data/toys/{n}.obj" for n in ("concave_box", "shape_sorter", "prism")),
    "pybullet_data/lego/lego.obj",
    "pybullet_data/objects/mug.obj",
    "pybullet_data/tray/tray_textured.obj",
    *(f"genesis/assets/meshes/{n}" for n in ("dragon/dragon.obj", "boat/boat.obj", "bathtub/bathtub.obj", "camera/camera.glb")),
    *(f"genesis/assets/meshes/{n}" for n in ("tank.obj", "stirrer.obj", "chopping-board/source/chopping_board.glb")),
    *(f"genesis/assets/meshes/{n}" for n in ("bolt_nut/bolt.stl", "bolt_nut/nut.stl", "wooden_sphere_OBJ/wooden_sphere.obj")),
    *(f"genesis/assets/meshes/{n}" for n in ("duck/duck.obj", "cross_cutter.obj", "Airplane/airplane.obj")),
    *(f"genesis/assets/tower/{n}.glb" for n in ("base_pole", "ring_02", "ring_04")),
    "genesis/assets/urdf/drones/body.obj",
)
_BLOBS = 30
_MOST_TRIANGLES = 3000
_TEXTURE_PX = 256


def foreign_objects(folder: Path) -> list[Asset]:
    """Load all objects that a folder of unpacked packages holds; sizes and plain colors follow from their names."""
    paths = [*_MESHES, *(f"pybullet_data/random_urdfs/{k:03d}/{k:03d}.obj" for k in range(_BLOBS))]
    found = [_asset(folder / path, path) for path in paths if (folder / path).is_file()]
    return [asset for asset in found if asset is not None]


def _asset(path: Path, key: str) -> Asset | None:
    trimesh = require("trimesh", "reading meshes", "pip install trimesh")
    try:
        scene = trimesh.load(path, force="scene")
        meshes = [mesh for mesh in scene.dump() if len(getattr(mesh, "faces", ())) > 3]
        picture = _named_picture(path)
    except (ValueError, OSError, KeyError):
        return None
    rng = np.random.default_rng(int.from_bytes(sha256(key.encode()).digest()[:8], "little"))
    plain = list(PAINTS.values())[int(rng.integers(len(PAINTS)))]
    parts = [_part(mesh, plain, picture) for mesh in sorted(meshes, key=lambda mesh: -mesh.area)[:7]]
    if not parts:
        return None
    stacked = np.concatenate([part.vertices_m for part in parts])
    low, high = stacked.min(0), stacked.max(0)
    factor = float(rng.uniform(0.07, 0.17) / (high - low).max())
    origin = np.array([*(low + high)[:2] / 2, low[2]])
    parts = [
        AssetPart(((p.vertices_m - origin) * factor).astype(np.float32), p.faces, p.uv, p.rgb, p.opacity, p.texture)
        for p in parts
    ]
    size = (high - low) * factor
    return Asset(key, Path(key).stem, (), (), "foreign", "plastic", tuple(size.tolist()), "", "", {}, tuple(parts))


def _named_picture(path: Path) -> Any:
    """Return the picture that the material file of a mesh names; None without one."""
    from PIL import Image

    materials = path.with_suffix(".mtl")
    text = materials.read_text(errors="replace") if materials.is_file() else ""
    named = [path.parent / line.split()[-1] for line in text.splitlines() if line.strip().startswith("map_Kd")]
    return next((Image.open(place) for place in named if place.is_file() and place.suffix != ".dds"), None)


def _part(mesh: Any, plain: tuple[float, float, float], picture: Any) -> AssetPart:
    material = getattr(mesh.visual, "material", None)
    picture = getattr(material, "image", None) or getattr(material, "baseColorTexture", None) or picture
    uv = getattr(mesh.visual, "uv", None)
    if picture is not None and uv is not None:
        picture = picture.convert("RGB")
        picture.thumbnail((_TEXTURE_PX, _TEXTURE_PX))
        look: Any = ((1.0, 1.0, 1.0), 1.0, np.asarray(picture))
        return AssetPart(np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int32), np.asarray(uv, np.float32), *look)
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    if len(faces) > _MOST_TRIANGLES:
        simplifier = require("pyfqmr", "simplifying meshes", "pip install pyfqmr").Simplify()
        simplifier.setMesh(vertices.astype(float), faces.astype(np.int32))
        simplifier.simplify_mesh(target_count=_MOST_TRIANGLES, verbose=False)
        vertices, faces, _ = simplifier.getMesh()
    rgb = np.asarray(getattr(material, "main_color", None) if material is not None else None)
    own = tuple((rgb[:3] / 255.0).tolist()) if rgb.ndim and np.ptp(rgb[:3].astype(float)) > 25 else plain
    return AssetPart(np.asarray(vertices), np.asarray(faces, np.int32), np.zeros((len(vertices), 2), np.float32), own, 1.0, None)
