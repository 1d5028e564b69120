"""Many materials become few meshes, and their colours are named by area."""

import numpy as np
import pytest

from lab.household.formula_assets import cuboid
from lab.household.mesh_parts import asset_parts, surface_colors
from lab.household.sweethome import Material, MaterialMesh

RED, BLUE, GREEN = (0.8, 0.07, 0.07), (0.08, 0.2, 0.76), (0.1, 0.52, 0.16)


def block(size: float, rgb: tuple[float, float, float], opacity: float = 1.0, texture: np.ndarray | None = None) -> MaterialMesh:
    vertices, faces = cuboid(size, size, size)
    uv = np.tile([[0.1, 0.9], [0.1, 0.6], [0.4, 0.6], [0.4, 0.9]], (6, 1))
    return MaterialMesh(Material(rgb, opacity, texture), vertices, faces, uv)


def build(*meshes: MaterialMesh, paintable: bool = False) -> tuple:
    return asset_parts(list(meshes), 0.5, 10_000, 32, paintable)


def test_plain_materials_share_a_palette_and_keep_their_colours() -> None:
    (part,) = build(block(2, RED), block(1, BLUE))
    assert part.texture is not None and len(part.faces) == 24
    columns = (part.uv[part.faces].mean(1)[:, 0] * part.texture.shape[1]).astype(int)
    shown = part.texture[1, columns]
    np.testing.assert_array_equal(shown[:12], np.tile(np.round(np.array(RED) * 255), (12, 1)))
    np.testing.assert_array_equal(shown[12:], np.tile(np.round(np.array(BLUE) * 255), (12, 1)))
    assert surface_colors((part,)) == pytest.approx({"red": 0.8, "blue": 0.2})
    assert np.ptp(part.vertices_m, axis=0).tolist() == [1, 1, 1]  # shrunk by half


def test_the_largest_plain_part_can_be_painted() -> None:
    paint, rest = build(block(1, BLUE), block(2, RED), paintable=True)
    assert paint.paint and paint.rgb == RED and paint.texture is None
    assert not rest.paint and rest.rgb == BLUE


def test_glass_is_a_part_of_its_own_and_no_certain_colour() -> None:
    solid, clear = build(block(1, BLUE), block(2, GREEN, opacity=0.2))
    assert (solid.opacity, clear.opacity) == (1.0, 0.3)
    shares = surface_colors((solid, clear))
    assert shares["clear"] == pytest.approx(0.4)
    assert max(shares[word] for word in ("green", "blue")) < 0.6


def test_pictures_keep_their_mesh_and_are_made_smaller() -> None:
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:32, :64] = np.round(np.array(RED) * 255)  # the upper left quarter, where the texture coordinates point
    (part,) = build(block(1, (1, 1, 1), texture=picture))
    assert part.texture is not None and part.texture.shape == (16, 32, 3)
    assert surface_colors((part,))["red"] > 0.9
