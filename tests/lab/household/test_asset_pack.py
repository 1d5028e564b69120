"""The pack on disk, the pack that is shipped, and what is kept from training."""

from pathlib import Path

import numpy as np
import pytest

from lab.household.asset_pack import SHIPPED_PACK, Asset, is_held_out, load_pack, save_pack
from lab.household.build_pack import LICENCE_LINKS, attribution_text, read_catalogue
from lab.household.formula_assets import formula_assets
from molmo_point.errors import InputError


@pytest.fixture(scope="module")
def shipped() -> list[Asset]:
    return load_pack(SHIPPED_PACK)


def test_what_is_saved_is_loaded(tmp_path: Path, shipped: list[Asset]) -> None:
    textured = next(a for a in shipped if any(p.texture is not None for p in a.parts))
    written = [*formula_assets()[:3], textured]
    save_pack(tmp_path / "new" / "pack.npz", written)
    read = load_pack(tmp_path / "new" / "pack.npz")
    for ours, theirs in zip(written, read, strict=True):
        assert (ours.key, ours.noun, ours.other_nouns, ours.size_m) == (
            theirs.key,
            theirs.noun,
            theirs.other_nouns,
            theirs.size_m,
        )
        assert (ours.color_shares, ours.licence, ours.paintable) == (theirs.color_shares, theirs.licence, theirs.paintable)
        for a, b in zip(ours.parts, theirs.parts, strict=True):
            np.testing.assert_array_equal(a.faces, b.faces)
            assert np.abs(a.vertices_m - b.vertices_m).max() < 1e-5
            assert (a.texture is None) == (b.texture is None) and (a.rgb, a.paint) == (b.rgb, b.paint)


@pytest.mark.parametrize("content", [None, b"", b"no pack"])
def test_what_is_no_pack_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "pack.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="build_pack"):
        load_pack(path)


def test_the_shipped_pack_is_small_whole_and_attributed(shipped: list[Asset]) -> None:
    assert SHIPPED_PACK.stat().st_size < 4e6
    assert [asset.key for asset in shipped] == [row["model"] for row in read_catalogue()]
    assert len({asset.key for asset in shipped}) == len(shipped) > 100
    assert {asset.licence for asset in shipped} == set(LICENCE_LINKS)
    assert all(asset.creator for asset in shipped)
    text = SHIPPED_PACK.with_suffix(".ATTRIBUTION.md").read_text(encoding="utf-8")
    assert text == attribution_text(shipped)
    assert all(asset.creator in text for asset in shipped)


def test_shipped_objects_stand_on_the_table_at_their_size(shipped: list[Asset]) -> None:
    for asset in shipped:
        points = np.concatenate([part.vertices_m for part in asset.parts])
        # Simplifying may take off a tip and moves corners a little.
        assert abs(points[:, 2].min()) < 0.002, asset.key
        ratio = np.ptp(points, axis=0) / np.maximum(asset.size_m, 0.01)
        assert (ratio < 1.07).all(), asset.key
        assert (np.ptp(points, axis=0) > 0.85 * np.array(asset.size_m) - 1e-3).all(), asset.key
        assert max(asset.size_m) < 0.29
        assert sum(asset.color_shares.values()) == pytest.approx(1, abs=0.01)
        assert asset.noun == asset.noun.lower() and asset.noun not in asset.doubtful_nouns


def test_one_in_five_is_held_out(shipped: list[Asset]) -> None:
    assert 0.12 < np.mean([asset.held_out for asset in shipped]) < 0.28
    assert np.mean([is_held_out(f"thing {k}") for k in range(2000)]) == pytest.approx(0.2, abs=0.03)
