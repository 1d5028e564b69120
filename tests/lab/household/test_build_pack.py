"""The table of models, and a pack built from a library made here."""

import zipfile
from pathlib import Path

import pytest

from lab.household import build_pack
from lab.household.build_pack import LICENCES, attribution_text, build_assets, read_catalogue, unpack_debian
from molmo_point.errors import DependencyError, InputError

ROW = {
    "model": "BlendSwap-CC-0:a/box.obj",
    "noun": "box",
    "other_nouns": "carton,~crate",
    "category": "containers",
    "material": "cardboard",
    "longest_cm": "15",
    "recolour": "yes",
}
OBJ = "v 0 0 0\nv 1 0 0\nv 1 0 1\nv 0 1 0\nv 1 1 1\nf 1 2 3\nf 1 4 5\nf 2 5 3\n"


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with zipfile.ZipFile(tmp_path / "BlendSwap-CC-0.sh3f", "w") as file:
        entry = "model#1=/a/box.obj\nwidth#1=30\ndepth#1=20\nheight#1=10\ncreator#1=Ann\n"
        file.writestr("PluginFurnitureCatalog.properties", entry)
        file.writestr("a/box.obj", OBJ)
    monkeypatch.setattr(build_pack, "read_catalogue", lambda: [ROW])
    return tmp_path


def test_the_table_of_models_is_complete() -> None:
    for row in read_catalogue():
        assert row["model"].partition(":")[0] in LICENCES
        assert row["noun"] and row["category"] and row["material"]
        assert 5 <= float(row["longest_cm"]) <= 28
        assert row["recolour"] in ("yes", "no")


def test_an_asset_takes_its_words_from_the_table_and_its_size_from_the_library(libraries: Path) -> None:
    (asset,) = build_assets(libraries, 1000, 64)
    assert (asset.noun, asset.other_nouns, asset.doubtful_nouns) == ("box", ("carton",), ("crate",))
    assert asset.size_m == pytest.approx((0.15, 0.10, 0.05))  # 30 cm is shrunk to 15
    assert (asset.creator, asset.licence, asset.paintable) == ("Ann", "CC0-1.0", True)
    assert "| box | box | Ann | BlendSwap-CC-0 | CC0-1.0 |" in attribution_text([asset])


def test_a_missing_model_or_package_is_refused(libraries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_pack, "read_catalogue", lambda: [{**ROW, "model": "BlendSwap-CC-0:a/cup.obj"}])
    with pytest.raises(InputError, match="not in its library"):
        build_assets(libraries, 1000, 64)
    with pytest.raises(DependencyError, match="unpacked"):
        unpack_debian(tmp_path / "none.deb", tmp_path / "out")
