"""Tables unlike those of the training: other surfaces, lights, cameras and solids; and pictures without a table."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from molmo_point.arrays import ColorArray
from molmo_point.evaluation.labeled_view import LabeledView, ObjectName, named
from molmo_point.evaluation.unseen_solids import Solid, add_solid, with_solids
from molmo_point.sim.camera_pose import CameraPose
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.rendered_scene import MujocoScene
from molmo_point.sim.tabletop.layout import random_layout
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX, cover_table, layout_to_mjcf

_TEXTURE_PX = 512
Texture = NDArray[np.floating[Any]]
"""Picture (n, n, 3), or a share (n, n) of two colors."""


# --- Surfaces ---------------------------------------------------------------------------------------------------


def _smooth(rng: np.random.Generator, cells: tuple[int, int]) -> Texture:
    """Draw smooth noise (n, n), 0 to 1."""
    small = Image.fromarray(rng.integers(0, 256, cells, dtype=np.uint8))
    return np.asarray(small.resize((_TEXTURE_PX, _TEXTURE_PX), Image.Resampling.BICUBIC), float) / 255


def _mixed(share: Texture, first: tuple[int, ...], second: tuple[int, ...]) -> Texture:
    return share[..., None] * np.array(first) + (1 - share[..., None]) * np.array(second)


def _wood(rng: np.random.Generator) -> Texture:
    rows = np.arange(_TEXTURE_PX)[:, None] / _TEXTURE_PX
    wave = np.sin(2 * np.pi * (rng.uniform(8, 16) * rows + 1.5 * _smooth(rng, (6, 3)))) * 0.5 + 0.5
    grain = 0.7 * wave + 0.3 * _smooth(rng, (200, 8))
    return _mixed(grain, (205, 150, 92), (120, 72, 34)) * rng.uniform(0.6, 1.1)


def _cloth(rng: np.random.Generator) -> Texture:
    rows, columns = np.indices((_TEXTURE_PX, _TEXTURE_PX)) // int(rng.integers(10, 30))
    ink, paper = rng.integers(0, 256, (2, 3))
    share = ((rows % 3 == 0) + 0.0 + (columns % 3 == 0)) / 2
    return _mixed(share, tuple(ink), tuple(paper))


def _checker(rng: np.random.Generator) -> Texture:
    rows, columns = np.indices((_TEXTURE_PX, _TEXTURE_PX)) // int(rng.integers(16, 40))
    ink, paper = rng.integers(0, 256, (2, 3))
    return _mixed((rows + columns) % 2 + 0.0, tuple(ink), tuple(255 - ink if rng.random() < 0.5 else paper))


def _newspaper(rng: np.random.Generator) -> Texture:
    page = Image.new("RGB", (_TEXTURE_PX, _TEXTURE_PX), (232, 228, 218))
    pen = ImageDraw.Draw(page)
    for left in range(8, _TEXTURE_PX, 126):
        for top in range(6, _TEXTURE_PX, 9):
            words = "".join(chr(int(c)) if c % 6 else " " for c in rng.integers(97, 123, 22))
            pen.text((left, top), words, fill=(30, 30, 34))
    pen.text((20, 200), "".join(chr(int(c)) for c in rng.integers(65, 91, 12)), fill=(10, 10, 10), font_size=48)
    return np.asarray(page, float)


def _dots(rng: np.random.Generator) -> Texture:
    page = Image.new("RGB", (_TEXTURE_PX, _TEXTURE_PX), tuple(rng.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(page)
    for _ in range(160):
        u, v, r = *rng.uniform(0, _TEXTURE_PX, 2), rng.uniform(4, 14)
        pen.ellipse((u - r, v - r, u + r, v + r), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return np.asarray(page, float)


def _stripes(rng: np.random.Generator) -> Texture:
    rows = np.arange(_TEXTURE_PX) // int(rng.integers(12, 50))
    return rng.integers(0, 256, (int(rows.max()) + 1, 3))[rows][:, None] + np.zeros((1, _TEXTURE_PX, 1))


def _marble(rng: np.random.Generator) -> Texture:
    vein = np.abs(_smooth(rng, (9, 9)) + 0.5 * _smooth(rng, (30, 30)) - 0.75)
    return _mixed(np.clip(vein * 6, 0, 1), (235, 235, 230), (70, 74, 82))


def _grass(rng: np.random.Generator) -> Texture:
    share = 0.5 * _smooth(rng, (180, 180)) + 0.5 * _smooth(rng, (40, 40))
    return _mixed(share, (60, 120, 40), (24, 60, 16))


def _vivid(rng: np.random.Generator) -> Texture:
    tint = np.zeros(3)
    tint[int(rng.integers(3))] = 255
    return np.zeros((_TEXTURE_PX, _TEXTURE_PX, 3)) + np.abs(tint - (255 if rng.random() < 0.3 else 0))


def _map(rng: np.random.Generator) -> Texture:
    height = _smooth(rng, (7, 7)) + 0.4 * _smooth(rng, (20, 20))
    bands = (height * 9).astype(int) % 6
    return rng.integers(40, 240, (6, 3))[bands] + 0.0


STYLES: dict[str, Callable[[np.random.Generator], Texture]] = {
    "wood": _wood,
    "newspaper": _newspaper,
    "checkered cloth": _cloth,
    "strong checker": _checker,
    "dots": _dots,
    "stripes": _stripes,
    "marble": _marble,
    "grass": _grass,
    "vivid color": _vivid,
    "map": _map,
}
"""Surfaces (n, n, 3), values 0 to 255."""


# --- Lights and cameras -----------------------------------------------------------------------------------------


def _colored_light(spec: Any, rng: np.random.Generator) -> None:
    tint = rng.uniform(0.4, 0.65, 3)
    tint[int(rng.integers(3))] = 1.0
    spec.lights[0].diffuse = tint
    spec.visual.headlight.ambient = 0.4 * tint


def _dark_corners(spec: Any, rng: np.random.Generator) -> None:
    spec.lights[0].cutoff, spec.lights[0].exponent = rng.uniform(6, 10), 8
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.08] * 3, [0.03] * 3


def _two_lamps(spec: Any, rng: np.random.Generator) -> None:
    x, y = rng.uniform(-1, 1, 2)
    spec.worldbody.add_light(pos=[x, y, 1.2], dir=[-x, -y, -1.2], diffuse=[0.6] * 3, castshadow=True, cutoff=80)


def _hard_shadow(spec: Any, rng: np.random.Generator) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    x, y = 1.4 * np.cos(angle), 1.4 * np.sin(angle)
    lamp = spec.lights[0]
    lamp.pos, lamp.dir, lamp.diffuse = [x, y, 0.6], [-x, -y, -0.6], [1.0] * 3
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.1] * 3, [0.05] * 3
    spec.visual.quality.shadowsize = 4096


def _bright(spec: Any, rng: np.random.Generator) -> None:
    del rng
    spec.lights[0].diffuse, spec.lights[0].specular = [1.0] * 3, [1.0] * 3
    spec.visual.headlight.ambient = [0.8] * 3


def _dim(spec: Any, rng: np.random.Generator) -> None:
    level = rng.uniform(0.15, 0.25)
    spec.lights[0].diffuse = [level] * 3
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [level] * 3, [0.02] * 3


LIGHTS: dict[str, Callable[[Any, np.random.Generator], None]] = {
    "colored light": _colored_light,
    "dark corners": _dark_corners,
    "two lamps": _two_lamps,
    "hard shadow": _hard_shadow,
    "dim light": _dim,
    "glaring light": _bright,
}
"""Changes of the light of a specification."""


def _camera(distance: tuple[float, float], elevation: tuple[float, float], fov: tuple[float, float]) -> Any:
    def pose(rng: np.random.Generator) -> CameraPose:
        away, up, turn = rng.uniform(*distance), np.deg2rad(rng.uniform(*elevation)), rng.uniform(0, 2 * np.pi)
        eye = away * np.array([np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up)])
        return CameraPose((float(eye[0]), float(eye[1]), float(eye[2]) + 0.02), (0.0, 0.0, 0.02), float(rng.uniform(*fov)))

    return pose


CAMERAS: dict[str, Callable[[np.random.Generator], CameraPose]] = {
    "low": _camera((0.5, 0.7), (8, 16), (45, 55)),
    "far": _camera((1.1, 1.5), (30, 70), (45, 55)),
    "close": _camera((0.22, 0.3), (40, 75), (45, 55)),
    "wide angle": _camera((0.3, 0.5), (35, 70), (85, 105)),
    "narrow angle": _camera((1.2, 1.6), (20, 70), (12, 18)),
    "from above": _camera((0.6, 1.0), (86, 89), (45, 55)),
}
"""Poses of a camera that the training never had."""


# --- Views ------------------------------------------------------------------------------------------------------


def render_table(
    scene: int,
    rng: np.random.Generator,
    *,
    style: str | None = None,
    light: str | None = None,
    camera: str | None = None,
    solids: Sequence[Solid] = (),
    object_count: int | None = None,
    size_wh: tuple[int, int] = (640, 480),
) -> LabeledView:
    """Render the random table of a seed with changes.

    Args:
        scene: Seed of the table.
        rng: Source of the randomness of the changes.
        style: One of `STYLES`; None keeps the surface.
        light: One of `LIGHTS`; None keeps the light.
        camera: One of `CAMERAS`; None keeps the camera.
        solids: Unseen solids, of which 2 to 4 are added.
        object_count: Number of the known objects; None draws it.
        size_wh: Width and height of the picture, pixels.
    """
    layout = random_layout(np.random.default_rng(scene), object_count)
    if object_count == 0:
        layout = replace(layout, objects=())
    if camera is not None:
        layout = replace(layout, camera=CAMERAS[camera](rng))
    spec: Any = import_mujoco().MjSpec.from_string(layout_to_mjcf(layout, *size_wh))
    if style is not None:
        cover_table(spec, surface_picture(style, rng))
    if light is not None:
        LIGHTS[light](spec, rng)
    added = with_solids(layout, list(solids), rng, int(rng.integers(2, 5))) if solids else ()
    for number, item in enumerate(added, start=len(layout.objects)):
        add_solid(spec, number, item, rng)
    names = (*named(layout.objects), *(ObjectName(item.color, item.solid.name, item.solid.doubtful) for item in added))
    keys = {f"{OBJECT_PREFIX}{number}": name for number, name in enumerate(names)}
    with MujocoScene(spec.compile(), layout.camera, size_wh, keys) as table:
        return LabeledView(table.render_color(), table.render_masks(), names)


def surface_picture(style: str, rng: np.random.Generator) -> ColorArray:
    """Draw a surface, one of `STYLES`, as a picture (n, n, 3)."""
    return np.clip(STYLES[style](rng), 0, 255).astype(np.uint8)


def _flat(value: int) -> Callable[[np.random.Generator, int, int], ColorArray]:
    return lambda rng, width, height: np.full((height, width, 3), value, np.uint8)


def _static(rng: np.random.Generator, width: int, height: int) -> ColorArray:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _gradient(rng: np.random.Generator, width: int, height: int) -> ColorArray:
    ends = rng.uniform(0, 255, (2, 3))
    share = np.linspace(0, 1, width)[None, :, None] * np.ones((height, 1, 1))
    return (ends[0] + share * (ends[1] - ends[0])).astype(np.uint8)


def _screenshot(rng: np.random.Generator, width: int, height: int) -> ColorArray:
    page = Image.new("RGB", (width, height), (246, 247, 249))
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, width, 28), fill=tuple(rng.integers(0, 256, 3).tolist()))
    pen.rectangle((0, 28, 130, height), fill=(226, 229, 234))
    for row in range(12):
        pen.text((12, 44 + 22 * row), "".join(chr(int(c)) for c in rng.integers(97, 123, 10)), fill=(60, 60, 70))
        pen.text((150, 44 + 22 * row), "".join(chr(int(c)) for c in rng.integers(97, 123, 50)), fill=(30, 30, 36))
    for _ in range(4):
        u, v = int(rng.integers(140, width - 90)), int(rng.integers(40, height - 30))
        pen.rounded_rectangle((u, v, u + 80, v + 24), 6, fill=(36, 99, 235))
    return np.asarray(page)


def _sky(rng: np.random.Generator, width: int, height: int) -> ColorArray:
    cloud = Image.fromarray((255 * _smooth(rng, (8, 8))).astype(np.uint8)).resize((width, height))
    share = np.asarray(cloud, float)[..., None] / 255
    return (share * 245 + (1 - share) * np.array([90, 150, 230])).astype(np.uint8)


def _page(rng: np.random.Generator, width: int, height: int) -> ColorArray:
    return np.asarray(Image.fromarray(_newspaper(rng).astype(np.uint8)).resize((width, height)))


def _chart(rng: np.random.Generator, width: int, height: int) -> ColorArray:
    page = Image.new("RGB", (width, height), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    for row in range(1, 8):
        pen.line((40, row * height // 8, width - 20, row * height // 8), fill=(225, 225, 228))
    for tint in ((30, 30, 30), (120, 120, 120), (70, 70, 90)):
        heights = np.clip(np.cumsum(rng.normal(0, 18, 24)) + height / 2, 10, height - 10)
        pen.line(list(zip(np.linspace(40, width - 20, 24).tolist(), heights.tolist(), strict=True)), fill=tint, width=3)
    return np.asarray(page)


EMPTY_PICTURES: dict[str, Callable[[np.random.Generator, int, int], ColorArray]] = {
    "black": _flat(0),
    "white": _flat(255),
    "static": _static,
    "gray": _flat(128),
    "gradient": _gradient,
    "screenshot": _screenshot,
    "sky": _sky,
    "page of text": _page,
    "chart": _chart,
    "surface": lambda rng, width, height: np.asarray(
        Image.fromarray(_wood(rng).clip(0, 255).astype(np.uint8)).resize((width, height))
    ),
}
"""Pictures without a table or any solid."""


def empty_picture(name: str, rng: np.random.Generator, size_wh: tuple[int, int] = (640, 480)) -> LabeledView:
    """Draw a picture, one of `EMPTY_PICTURES`, that shows no object."""
    color = EMPTY_PICTURES[name](rng, *size_wh)
    return LabeledView(np.ascontiguousarray(color), np.full(color.shape[:2], -1, np.int16))
