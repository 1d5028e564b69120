"""Objects made by formula: closed, facing outwards, standing on the table, as large as they say."""

import numpy as np
import pytest

from lab.household.asset_pack import Asset
from lab.household.formula_assets import cuboid, formula_assets, tube
from molmo_point.sim.arm.containers import lathe

ASSETS = formula_assets()


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def test_solids_have_the_volume_of_their_formula_with_faces_outwards() -> None:
    assert volume(*cuboid(0.1, 0.2, 0.3)) == pytest.approx(0.006)
    cylinder = lathe(np.array([[0, 0], [0.1, 0], [0.1, 0.2], [0, 0.2]]), 200)
    assert volume(*cylinder) == pytest.approx(np.pi * 0.01 * 0.2, rel=1e-3)
    path = np.stack([np.linspace(0, 0.3, 4), np.zeros(4), np.zeros(4)], 1)
    assert volume(*tube(path, np.full(4, 0.05), 200)) == pytest.approx(np.pi * 0.0025 * 0.3, rel=1e-3)


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.key)
def test_it_stands_on_the_table_and_is_as_large_as_it_says(asset: Asset) -> None:
    points = np.concatenate([part.vertices_m for part in asset.parts])
    assert -0.004 < points[:, 2].min() < 0.004
    np.testing.assert_allclose(np.ptp(points, axis=0), asset.size_m, rtol=1e-5)
    assert 0.02 < max(asset.size_m) < 0.25
    assert volume(asset.parts[0].vertices_m, asset.parts[0].faces) > 0
    assert all(part.faces.max() < len(part.vertices_m) for part in asset.parts)


def test_names_and_keys() -> None:
    assert len({asset.key for asset in ASSETS}) == len(ASSETS) >= 25
    assert {"cube", "ball", "cylinder", "brick", "apple", "banana", "mug", "bowl"} <= {asset.noun for asset in ASSETS}
    assert sum(asset.category == "fruit" for asset in ASSETS) >= 8
    assert not any(asset.held_out for asset in ASSETS if asset.noun in ("cube", "ball", "cylinder", "brick"))
