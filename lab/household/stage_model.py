"""The MuJoCo model behind a stage: all meshes, pictures and materials, and empty slots for what a scene shows."""

from typing import Any

import numpy as np

from lab.household.arrangement import MAX_OBJECTS, SIZES
from lab.household.asset_pack import Asset, AssetPart
from lab.household.surfaces import SURFACE_COUNT, surface
from molmo_point.sim.camera_pose import CAMERA_NAME

PARTS_PER_OBJECT = 7
PANELS = 8
SHOWN_GROUP, HIDDEN_GROUP = 0, 4
_LIGHTS = 3
_FINISH = {
    "metal": (0.7, 0.7),
    "ceramic": (0.5, 0.7),
    "glass": (0.8, 0.9),
    "plastic": (0.35, 0.5),
    "rubber": (0.1, 0.2),
    "food": (0.15, 0.3),
}
"""Specular strength and shininess by material; what is not listed is dull."""


def stage_spec(mujoco: Any, assets: list[Asset], width: int, height: int) -> Any:
    """The ``MjSpec`` of a stage for these objects and this image size (pixels)."""
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
    spec.visual.quality.shadowsize, spec.visual.quality.offsamples = 1024, 0
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 20.0
    spec.visual.headlight.diffuse[:] = 0.12
    spec.visual.headlight.specular[:] = 0.0
    spec.stat.extent, spec.stat.center = 1.0, [0, 0, 0]
    for number in range(SURFACE_COUNT):
        _material(mujoco, spec, f"surface_{number}", surface(number), 0.1, 0.2)
    for material in {asset.material for asset in assets}:
        _material(mujoco, spec, f"finish_{material}", None, *_FINISH.get(material, (0.05, 0.1)))
    for index, asset in enumerate(assets):
        for number, part in enumerate(asset.parts):
            _add_part(mujoco, spec, f"{index}_{number}", part, _FINISH.get(asset.material, (0.05, 0.1)))
    _add_world(mujoco, spec)
    return spec


def _material(mujoco: Any, spec: Any, name: str, picture: np.ndarray | None, specular: float, shininess: float) -> None:
    material = spec.add_material(name=name, specular=specular, shininess=shininess)
    if picture is not None:
        height, width = picture.shape[:2]
        kind = mujoco.mjtTexture.mjTEXTURE_2D
        data = np.ascontiguousarray(picture).tobytes()
        texture = spec.add_texture(name=name, type=kind, width=width, height=height, nchannel=3)
        texture.data = data
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _add_part(mujoco: Any, spec: Any, name: str, part: AssetPart, finish: tuple[float, float]) -> None:
    if part.texture is not None:
        _material(mujoco, spec, f"look_{name}", part.texture, *finish)
    for size, factor in enumerate(SIZES):
        mesh = spec.add_mesh(name=f"mesh_{name}_{size}")
        mesh.uservert = (part.vertices_m * factor).ravel().astype(float)
        mesh.userface = part.faces.ravel().astype(int)
        if part.texture is not None:
            # Pictures are stored from the top; texture coordinates count from the bottom.
            mesh.usertexcoord = (part.uv * [1, -1] + [0, 1]).ravel().astype(float)
            mesh.userfacetexcoord = part.faces.ravel().astype(int)
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL


def _add_world(mujoco: Any, spec: Any) -> None:
    box = mujoco.mjtGeom.mjGEOM_BOX
    world = spec.worldbody

    def add(name: str, **look: Any) -> None:
        world.add_geom(name=name, contype=0, conaffinity=0, **look)

    for index in range(_LIGHTS):
        world.add_light(
            name=f"light_{index}",
            pos=[0, 0, 1.5],
            dir=[0, 0, -1],
            castshadow=index == 0,
            cutoff=80,
            exponent=1,
            specular=[0.2] * 3,
        )
    add("table", type=box, size=[0.5, 0.5, 0.02], pos=[0, 0, -0.02], material="surface_0")
    add("floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[4, 4, 0.1], pos=[0, 0, -0.75], material="surface_0")
    for index in range(4):
        add(f"wall_{index}", type=box, size=[0.02, 2, 1.4], pos=[2 + index, 0, 0.6])
    for index in range(PANELS):
        add(f"panel_{index}", type=box, size=[0.1, 0.1, 0.1], group=HIDDEN_GROUP, material="surface_0")
    first = next(mesh.name for mesh in spec.meshes)
    for slot in range(MAX_OBJECTS):
        for part in range(PARTS_PER_OBJECT):
            add(f"slot_{slot}_{part}", type=mujoco.mjtGeom.mjGEOM_MESH, meshname=first, group=HIDDEN_GROUP)
    world.add_camera(name=CAMERA_NAME, pos=[0.5, 0, 0.5], fovy=45)
