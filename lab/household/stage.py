"""A stage for one household scene after another: one MuJoCo model, compiled once, rearranged for each scene.

All meshes and pictures are uploaded once; a scene only sets mesh, material and pose of its slots. A new scene is as
quick as a new view.
"""

import numpy as np

from lab.household.arrangement import MAX_OBJECTS, Arrangement, Panel, PlacedAsset
from lab.household.asset_pack import Asset
from lab.household.stage_model import HIDDEN_GROUP, PANELS, PARTS_PER_OBJECT, SHOWN_GROUP, stage_spec
from molmo_point.errors import InputError
from molmo_point.sim.camera_pose import CameraPose
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.rendered_scene import MujocoScene


class Stage(MujocoScene):
    """Renderer of arrangements of the given objects. Holds an OpenGL context: use ``with`` or ``close``.

    Args:
        assets: All objects that may stand on the table.
        width: Image width, pixels.
        height: Image height, pixels.

    Attributes:
        objects: The objects of the arrangement shown.

    Raises:
        DependencyError: MuJoCo is not installed or cannot open a headless OpenGL context.
        InputError: The image is too small, or there are no objects.
    """

    def __init__(self, assets: list[Asset], width: int = 640, height: int = 480) -> None:
        if width < 16 or height < 16 or not assets:
            raise InputError("A stage needs objects and an image", f"{len(assets)} objects, {width}×{height}", "give both")
        model = stage_spec(import_mujoco(), assets, width, height).compile()
        # Poses are set again for every scene, so none may be taken for the world's own.
        model.geom_sameframe[:] = 0
        super().__init__(model, CameraPose((0.5, 0, 0.5), (0, 0, 0), 45.0), (width, height), {})
        self._asset_index = {asset.key: index for index, asset in enumerate(assets)}
        self._slots = [[self._geom(f"slot_{k}_{p}") for p in range(PARTS_PER_OBJECT)] for k in range(MAX_OBJECTS)]
        self._panels = [self._geom(f"panel_{k}") for k in range(PANELS)]
        self._object_of_geom = np.full(model.ngeom + 1, -1, np.int16)

    def show(self, arrangement: Arrangement) -> "Stage":
        """Show an arrangement, and return the stage.

        Raises:
            InputError: There are more objects or panels than slots, or one that the stage does not have.
        """
        if len(arrangement.objects) > MAX_OBJECTS or len(arrangement.panels) > PANELS:
            raise InputError("The arrangement is too large", f"{len(arrangement.objects)} objects", f"at most {MAX_OBJECTS}")
        unknown = [item.asset.key for item in arrangement.objects if item.asset.key not in self._asset_index]
        if unknown:
            raise InputError("The stage does not have this object", unknown[0], "give all objects when opening the stage")
        self.objects = arrangement.objects
        self._object_of_geom[:] = -1
        for slot in self._slots:
            self._model.geom_group[slot] = HIDDEN_GROUP
        self._model.geom_group[self._panels] = HIDDEN_GROUP
        for number, item in enumerate(arrangement.objects):
            self._place(number, item)
        for geom, panel in zip(self._panels, arrangement.panels, strict=False):
            self._set_panel(geom, panel)
        self._set_panel(self._geom("table"), arrangement.table)
        self._set_room(arrangement)
        self._set_lights(arrangement)
        self.move_camera(arrangement.camera)
        return self

    def render_masks(self) -> np.ndarray:
        """Render the instance mask (h, w) int16: index into `objects`, −1 where no object is seen."""
        return self._object_of_geom[self._render("segmentation")[..., 0]]

    def _id(self, kind: str, name: str) -> int:
        return int(self._mujoco.mj_name2id(self._model, getattr(self._mujoco.mjtObj, f"mjOBJ_{kind}"), name))

    def _place(self, number: int, item: PlacedAsset) -> None:
        model, asset = self._model, self._asset_index[item.asset.key]
        half = 0.5 * item.yaw_rad
        turn = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
        for index, part in enumerate(item.asset.parts):
            geom = self._slots[number][index]
            mesh = self._id("MESH", f"mesh_{asset}_{index}_{item.size}")
            model.geom_dataid[geom] = mesh
            material = f"look_{asset}_{index}" if part.texture is not None else f"finish_{item.asset.material}"
            model.geom_matid[geom] = self._id("MATERIAL", material)
            rgb = item.rgb if part.paint and item.paint is not None else part.rgb
            # A geom of exactly MuJoCo's default grey would take its material's color.
            model.geom_rgba[geom] = (rgb[0] + 1e-4, *rgb[1:], part.opacity)
            model.geom_group[geom] = SHOWN_GROUP
            # MuJoCo moves a mesh to its own inertial frame and remembers by how much.
            offset = np.zeros(3)
            self._mujoco.mju_rotVecQuat(offset, model.mesh_pos[mesh].astype(float), turn)
            model.geom_pos[geom] = offset + np.array((*item.xy_m, 0.0))
            self._mujoco.mju_mulQuat(model.geom_quat[geom], turn, model.mesh_quat[mesh].astype(float))
            self._object_of_geom[geom] = number

    def _set_panel(self, geom: int, panel: Panel) -> None:
        model = self._model
        model.geom_size[geom], model.geom_pos[geom] = panel.half_m, panel.position_m
        model.geom_quat[geom] = (np.cos(panel.yaw_rad / 2), 0.0, 0.0, np.sin(panel.yaw_rad / 2))
        model.geom_matid[geom] = self._id("MATERIAL", f"surface_{panel.surface}")
        model.geom_rgba[geom] = (*panel.tint, 1.0)
        model.geom_group[geom] = SHOWN_GROUP

    def _set_room(self, arrangement: Arrangement) -> None:
        model, room = self._model, arrangement.room_m
        number, tint = arrangement.floor
        model.geom_matid[self._geom("floor")] = self._id("MATERIAL", f"surface_{number}")
        model.geom_rgba[self._geom("floor")] = (*tint, 1.0)
        shades = (0.75, 0.95, 0.85, 0.9)
        for k, (x, y) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
            geom = self._geom(f"wall_{k}")
            model.geom_pos[geom] = (x * room, y * room, 0.6)
            model.geom_size[geom] = (0.02 + room * abs(y), 0.02 + room * abs(x), 1.4)
            model.geom_rgba[geom] = (*(shades[k] * np.array(tint[::-1])), 1.0)

    def _set_lights(self, arrangement: Arrangement) -> None:
        model = self._model
        model.vis.headlight.ambient[:] = arrangement.ambient
        model.light_active[:] = 0
        for index, light in enumerate(arrangement.lights):
            towards = -np.array(light.position_m)
            model.light_active[index] = 1
            model.light_pos[index] = light.position_m
            model.light_dir[index] = towards / np.linalg.norm(towards)
            model.light_diffuse[index] = light.rgb
            model.light_castshadow[index] = light.shadow
