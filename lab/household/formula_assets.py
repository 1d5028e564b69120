"""Tabletop objects made by formula: plain shapes, fruit and crockery, turned on a lathe.

Their names are certain, their colors can be painted at will, and they carry no foreign licence.
"""

import numpy as np

from lab.household.asset_pack import Asset, AssetPart
from lab.household.colors import color_name
from molmo_point.sim.arm.containers import BOWL_MM, PLATE_MM, lathe, profile_m

_STEM = (0.30, 0.20, 0.08)
_LEAF = (0.16, 0.42, 0.12)

_Mesh = tuple[np.ndarray, np.ndarray]


def formula_assets() -> list[Asset]:
    """All objects made by formula; the same list every time."""
    return [*_shapes(), *_fruit(), *_crockery()]


def tube(path: np.ndarray, radii: np.ndarray, segments: int = 12) -> _Mesh:
    """Return a tube along a path (n, 3) in the x–z plane with radii (n,), closed at both ends."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross([0.0, 1.0, 0.0], along)
    angle = np.arange(segments) * 2 * np.pi / segments
    across = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * np.array([0.0, 1.0, 0.0])
    vertices = (path[:, None] + radii[:, None, None] * across).reshape(-1, 3)
    faces = []
    for k in range(len(path) - 1):
        a = k * segments + np.arange(segments)
        b = k * segments + (np.arange(segments) + 1) % segments
        faces += [np.stack([a, b, b + segments], 1), np.stack([a, b + segments, a + segments], 1)]
    for ring, flip in ((0, True), (len(path) - 1, False)):
        first = ring * segments
        fan = np.stack([np.full(segments - 2, first), first + np.arange(1, segments - 1), first + np.arange(2, segments)], 1)
        faces.append(fan[:, ::-1] if flip else fan)
    return vertices, np.concatenate(faces)


def cuboid(width: float, depth: float, height: float) -> _Mesh:
    """Return a box standing on z = 0; each side has corners of its own, so that edges are sharp."""
    vertices, faces = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            corners = np.zeros((4, 3))
            corners[:, axis] = sign
            others = [(axis + 1) % 3, (axis + 2) % 3]
            corners[:, others] = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
            first = 4 * len(vertices)
            fan = np.array([[0, 1, 2], [0, 2, 3]]) + first
            faces.append(fan if sign > 0 else fan[:, ::-1])
            vertices.append(corners)
    points = np.concatenate(vertices) * [width / 2, depth / 2, height / 2] + [0, 0, height / 2]
    return points, np.concatenate(faces)


def _part(mesh: _Mesh, rgb: tuple[float, float, float], paint: bool = False, opacity: float = 1.0) -> AssetPart:
    vertices = mesh[0].astype(np.float32)
    return AssetPart(vertices, mesh[1].astype(np.int32), np.zeros((len(vertices), 2), np.float32), rgb, opacity, None, paint)


def _asset(key: str, nouns: str, category: str, material: str, *parts: AssetPart) -> Asset:
    names = nouns.split(",")
    points = np.concatenate([part.vertices_m for part in parts])
    width, depth, height = (float(v) for v in points.max(0) - points.min(0))
    word, second = color_name(np.array(parts[0].rgb))
    return Asset(
        key=f"formula:{key}",
        noun=names[0],
        other_nouns=tuple(n for n in names[1:] if not n.startswith("~")),
        doubtful_nouns=tuple(n[1:] for n in names[1:] if n.startswith("~")),
        category=category,
        material=material,
        size_m=(width, depth, height),
        creator="molmo-point",
        licence="Apache-2.0",
        color_shares={word: 1.0} if word == second else {word: 0.5, second: 0.5},
        parts=tuple(parts),
    )


def _shapes() -> list[Asset]:
    grey, wood = (0.5, 0.5, 0.5), "wood"
    ball = _sphere(0.03)
    rod = lathe(profile_m("0 0, 24 0, 24 0, 24 90, 24 90, 0 90"))
    cone = lathe(profile_m("0 0, 34 0, 34 0, 0 85"))
    ring = lathe(np.array([[0.022 + 0.011 * np.cos(a), 0.011 + 0.011 * np.sin(a)] for a in np.linspace(-np.pi, np.pi, 13)]))
    return [
        _asset("cube", "cube,block,~box", "blocks", wood, _part(cuboid(0.055, 0.055, 0.055), grey, True)),
        _asset("ball", "ball,sphere", "toys", "plastic", _part(ball, grey, True)),
        _asset("cylinder", "cylinder", "blocks", wood, _part(rod, grey, True)),
        _asset("brick", "brick,block,~box", "blocks", wood, _part(cuboid(0.11, 0.05, 0.038), grey, True)),
        _asset("cone", "cone", "blocks", wood, _part(cone, grey, True)),
        _asset("ring", "ring", "toys", "plastic", _part(ring, grey, True)),
        _asset("box", "box,cardboard box", "containers", "cardboard", _part(cuboid(0.14, 0.10, 0.08), (0.62, 0.46, 0.28), True)),
        _asset("carton", "box", "containers", "cardboard", _part(cuboid(0.09, 0.06, 0.13), (0.62, 0.46, 0.28), True)),
    ]


def _sphere(radius: float, squash: float = 1.0, rows: int = 14) -> _Mesh:
    angle = np.linspace(-np.pi / 2, np.pi / 2, rows)
    profile = np.stack([radius * np.cos(angle), radius * squash * (1 + np.sin(angle))], 1)
    profile[[0, -1], 0] = 0
    return lathe(profile)


def _round_fruit(radius: float, dimple: float, top: float) -> _Mesh:
    """An apple-like body: dimples of the given depth at both ends, wider at the ``top``."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 18)
    r = radius * np.cos(angle) * (1 + 0.08 * top * np.sin(angle))
    z = radius * (0.92 * np.sin(angle) - dimple * np.sign(angle) * np.exp(-((np.cos(angle) / 0.35) ** 2)))
    profile = np.stack([r, z - z.min()], 1)
    profile[[0, -1], 0] = 0
    return lathe(profile)


def _stalk(foot_m: float, length_m: float = 0.014) -> AssetPart:
    path = np.stack([np.linspace(0, 0.004, 5), np.zeros(5), np.linspace(foot_m, foot_m + length_m, 5)], 1)
    return _part(tube(path, np.full(5, 0.0018), 8), _STEM)


def _fruit() -> list[Asset]:
    apple = _round_fruit(0.038, 0.22, 1.0)
    apples = {"red": (0.70, 0.07, 0.08), "green": (0.45, 0.66, 0.12), "yellow": (0.90, 0.76, 0.18)}
    fruit = [_asset(f"apple-{c}", "apple", "fruit", "food", _part(apple, rgb), _stalk(0.052)) for c, rgb in apples.items()]
    lemon = lathe(profile_m("0 0, 6 2, 10 6, 22 16, 27 30, 26 40, 18 56, 9 64, 6 69, 0 71"))
    pear = lathe(profile_m("0 2, 16 0, 30 12, 34 28, 30 46, 20 62, 15 76, 11 86, 0 90"))
    for c, rgb in {"lemon": (0.93, 0.80, 0.10), "lime": (0.36, 0.60, 0.10)}.items():
        fruit.append(_asset(c, c, "fruit", "food", _part(_lying(lemon), rgb)))
    for c, rgb in {"green": (0.55, 0.66, 0.15), "yellow": (0.88, 0.74, 0.16)}.items():
        fruit.append(_asset(f"pear-{c}", "pear", "fruit", "food", _part(pear, rgb), _stalk(0.088)))
    bend = np.linspace(-0.95, 0.95, 13)
    curve = np.stack([0.095 * np.sin(bend), np.zeros(13), 0.095 * (1 - np.cos(bend)) + 0.017], 1)
    banana = tube(curve, 0.017 * np.clip(1.05 - np.abs(bend / 0.95) ** 5, 0.22, 1.0))
    plum = _round_fruit(0.024, 0.05, 0.0)
    tomato = _round_fruit(0.033, 0.18, 0.3)
    carrot = lathe(profile_m("0 0, 4 4, 10 50, 16 120, 15 135, 0 138"), 16)
    leaves = lathe(profile_m("6 136, 13 160, 16 172, 0 166"), 8)
    fruit += [
        _asset("orange", "orange", "fruit", "food", _part(_sphere(0.038, 0.96), (0.95, 0.50, 0.06))),
        _asset("banana", "banana", "fruit", "food", _part(_turned_on_side(banana), (0.93, 0.80, 0.12))),
        _asset("plum", "plum", "fruit", "food", _part(plum, (0.36, 0.10, 0.44)), _stalk(0.042, 0.01)),
        _asset("tomato", "tomato,~fruit", "vegetables", "food", _part(tomato, (0.82, 0.12, 0.06)), _stalk(0.047, 0.006)),
        _asset("carrot", "carrot", "vegetables", "food", _part(_lying(carrot), (0.93, 0.45, 0.08)), _part(_lying(leaves), _LEAF)),
        _asset("egg", "egg", "food", "food", _part(_lying(lathe(_egg())), (0.90, 0.78, 0.64))),
    ]
    return fruit


def _egg() -> np.ndarray:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 16)
    profile = np.stack([0.022 * np.cos(angle) * (1 - 0.13 * np.sin(angle)), 0.029 * (1 + np.sin(angle))], 1)
    profile[[0, -1], 0] = 0
    return profile


def _lying(mesh: _Mesh) -> _Mesh:
    """Laid along x; its thickest place touches the table."""
    x, y, z = mesh[0].T
    radius = float(np.hypot(x, y).max())
    return np.stack([z - 0.5 * float(z.max()), y, -x + radius], 1), mesh[1]


def _turned_on_side(mesh: _Mesh) -> _Mesh:
    x, y, z = mesh[0].T
    height = y - y.min()
    return np.stack([x, -(z - z.mean()), height], 1), mesh[1]


def _crockery() -> list[Asset]:
    grey, china = (0.5, 0.5, 0.5), "ceramic"
    mug = lathe(profile_m("0 0, 36 0, 39 3, 40 92, 38.5 94, 37 92, 36 8, 0 6"), 28)
    turn = np.linspace(-np.pi / 2, np.pi / 2, 9)
    handle = tube(np.stack([0.039 + 0.026 * np.cos(turn), np.zeros(9), 0.048 + 0.028 * np.sin(turn)], 1), np.full(9, 0.0055), 10)
    cup = lathe(profile_m("0 0, 26 0, 40 98, 39 100, 38 98, 25 4, 0 4"), 28)
    bowl = lathe(profile_m(BOWL_MM), 32)
    plate = lathe(profile_m(PLATE_MM), 32)
    bottle = lathe(profile_m("0 0, 33 0, 35 4, 35 130, 30 150, 14 180, 13 205"), 24)
    lid = lathe(profile_m("14.5 203, 14.5 203, 14.5 222, 14.5 222, 0 222"), 20)
    can = lathe(profile_m("33 6, 33 6, 33 112, 33 112, 28 119"), 24)
    ends = lathe(profile_m("0 0, 27 0, 33 6, 33 6"), 24)
    top = lathe(profile_m("28 118.5, 28 121, 26 121, 26 118, 0 118"), 24)
    silver = (0.72, 0.72, 0.74)
    return [
        _asset("mug", "mug,coffee mug,~cup", "dishes", china, _part(mug, grey, True), _part(handle, grey, True)),
        _asset("cup", "cup,plastic cup,~glass", "dishes", "plastic", _part(cup, grey, True)),
        _asset("bowl", "bowl", "dishes", china, _part(bowl, grey, True)),
        _asset("plate", "plate", "dishes", china, _part(plate, grey, True)),
        _asset(
            "bottle", "bottle,plastic bottle", "containers", "plastic", _part(bottle, grey, True), _part(lid, (0.85, 0.85, 0.85))
        ),
        _asset("can", "can,soda can,tin", "containers", "metal", _part(can, grey, True), _part(ends, silver), _part(top, silver)),
    ]
