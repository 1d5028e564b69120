"""MuJoCo model description of a layout."""

from typing import Any

from molmo_point.arrays import ColorArray
from molmo_point.sim.camera_pose import CAMERA_NAME, camera_axes
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.tabletop.layout import Layout
from molmo_point.sim.tabletop.objects import SceneObject
from molmo_point.sim.toys.placed_toy import PlacedToy, add_toy

OBJECT_PREFIX = "object_"
TOY_PREFIX = "toy_"


def layout_spec(layout: Layout, width: int, height: int) -> Any:
    """Make the ``MjSpec`` of a scene of solids and toys that do not move; sizes as `layout_to_mjcf`."""
    return with_toys(import_mujoco().MjSpec.from_string(layout_to_mjcf(layout, width, height)), layout)


def with_toys(spec: Any, layout: Layout) -> Any:
    """Add the toys of a layout to an ``MjSpec``, as bodies that do not move."""
    for number, item in enumerate(layout.objects):
        if isinstance(item, PlacedToy):
            add_toy(spec, item, f"{TOY_PREFIX}{number}", f"{OBJECT_PREFIX}{number}")
    return spec


def cover_table(spec: Any, picture: ColorArray) -> None:
    """Give the table of an ``MjSpec`` a surface, a picture (n, n, 3) uint8 RGB."""
    cover = spec.texture("table")
    cover.builtin = import_mujoco().mjtBuiltin.mjBUILTIN_NONE
    cover.height, cover.width, cover.nchannel = picture.shape
    cover.data = picture.tobytes()
    spec.material("table").texrepeat = [1, 1]


def layout_to_mjcf(layout: Layout, width: int, height: int) -> str:
    """Write the MJCF text of a scene without its toys; ``width`` and ``height`` size the offscreen buffer (pixels)."""
    axes = camera_axes(layout.camera)
    right, up = axes[:, 0], -axes[:, 1]
    eye = " ".join(f"{v}" for v in layout.camera.eye_m)
    xyaxes = " ".join(f"{v}" for v in (*right, *up))
    first, second = (" ".join(f"{v}" for v in rgb) for rgb in layout.table_rgb)
    wall = " ".join(f"{v}" for v in layout.wall_rgb)
    light = " ".join(f"{v}" for v in layout.light_position_m)
    d, a = layout.light_diffuse, layout.light_ambient
    solids = "\n".join(
        item.geom_xml(f"{OBJECT_PREFIX}{i}") for i, item in enumerate(layout.objects) if isinstance(item, SceneObject)
    )
    repeat = 6 if layout.table_pattern == "checker" else 1
    return f"""
<mujoco>
  <visual>
    <global offwidth="{width}" offheight="{height}"/>
    <headlight ambient="{a} {a} {a}" diffuse="0.15 0.15 0.15" specular="0 0 0"/>
    <quality shadowsize="1024" offsamples="0"/>
    <map znear="0.01" zfar="20"/>
  </visual>
  <asset>
    <texture name="table" type="2d" builtin="{layout.table_pattern}" rgb1="{first}" rgb2="{second}"
             width="128" height="128"/>
    <material name="table" texture="table" texrepeat="{repeat} {repeat}" specular="0.1" reflectance="0"/>
  </asset>
  <worldbody>
    <light pos="{light}" dir="{-layout.light_position_m[0]} {-layout.light_position_m[1]} -1.6"
           directional="false" castshadow="true" diffuse="{d} {d} {d}" specular="0.2 0.2 0.2"
           cutoff="80" exponent="1"/>
    <geom name="table" type="box" size="0.55 0.55 0.02" pos="0 0 -0.02" material="table"/>
    <geom name="floor" type="plane" size="4 4 0.1" pos="0 0 -0.75" rgba="{wall} 1"/>
    {solids}
    <camera name="{CAMERA_NAME}" pos="{eye}" xyaxes="{xyaxes}" fovy="{layout.camera.fov_y_deg}"/>
  </worldbody>
</mujoco>"""
