"""A furniture library made here: axes, sizes, materials and pictures as they come out."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.household.sweethome import FurnitureLibrary
from molmo_point.errors import InputError

CATALOGUE = """
id=Test
name#1=Cup
model#1=/things/cup/cup.obj
width#1=10
depth#1=20
height#1=30
creator#1=Somebody
name#2=Rod
model#2=/things/rod/rod.obj
width#2=1
depth#2=2
height#2=3
modelRotation#2=1 0 0 0 0 -1 0 1 0
"""
# A wedge, y up: its tip stands at the back (z = 0), its foot reaches to the viewer (z = 4).
OBJ = """
mtllib cup.mtl
v 0 0 0
v 2 0 0
v 2 0 4
v 0 0 4
v 1 8 0
vt 0.25 0.75
vt 0.5 0.5
usemtl Red Plastic
f 1 2 3 4
usemtl picture
f 1/1 2/2 5/1
f -2/-1 -3/-2 -1/-1
"""
MTL = """
newmtl Red Plastic
Kd 0.9 0.1 0.2
d 0.4
newmtl picture
Kd 1 1 1
map_Kd Label.PNG
"""


@pytest.fixture
def library(tmp_path: Path) -> FurnitureLibrary:
    picture = io.BytesIO()
    Image.fromarray(np.full((3, 5, 3), (10, 200, 30), np.uint8)).save(picture, "PNG")
    with zipfile.ZipFile(tmp_path / "Test.sh3f", "w") as file:
        file.writestr("PluginFurnitureCatalog.properties", CATALOGUE)
        file.writestr("LICENSE.TXT", "do as you please")
        file.writestr("things/cup/cup.obj", OBJ)
        file.writestr("things/cup/cup.mtl", MTL)
        file.writestr("things/cup/label.png", picture.getvalue())
        file.writestr("things/rod/rod.obj", "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\n")
    return FurnitureLibrary(tmp_path / "Test.sh3f")


def test_catalogue(library: FurnitureLibrary) -> None:
    assert library.name == "Test"
    assert list(library.models) == ["things/cup/cup.obj", "things/rod/rod.obj"]
    assert library.models["things/cup/cup.obj"].size_m == (0.1, 0.2, 0.3)
    assert library.models["things/cup/cup.obj"].creator == "Somebody"
    assert library.licence_text() == "do as you please"


def test_meshes_stand_upright_at_catalogue_size(library: FurnitureLibrary) -> None:
    red, labelled = library.meshes(library.models["things/cup/cup.obj"])
    assert red.material.rgb == (0.9, 0.1, 0.2) and red.material.opacity == 0.4 and red.material.texture is None
    assert labelled.material.texture is not None and labelled.material.texture.shape == (3, 5, 3)
    assert (len(red.faces), len(labelled.faces)) == (2, 2)
    assert not red.uv.any() and set(map(tuple, labelled.uv)) == {(0.25, 0.75), (0.5, 0.5)}
    points = np.concatenate([red.vertices_m, labelled.vertices_m])
    np.testing.assert_allclose(points.min(0), [-0.05, -0.1, 0], atol=1e-12)
    np.testing.assert_allclose(points.max(0), [0.05, 0.1, 0.3], atol=1e-12)
    tip = labelled.vertices_m[labelled.vertices_m[:, 2].argmax()]
    np.testing.assert_allclose(tip, [0, 0.1, 0.3], atol=1e-12)  # away from the viewer is +y


def test_its_own_rotation_comes_first_and_no_material_is_grey(library: FurnitureLibrary) -> None:
    (rod,) = library.meshes(library.models["things/rod/rod.obj"])
    assert rod.material.rgb == (0.7, 0.7, 0.7)
    np.testing.assert_allclose(np.ptp(rod.vertices_m, axis=0), [0.01, 0.02, 0.03])
    # The file's z ends upside down, so the three corners without it are on top; unturned it would be the one with y.
    assert (rod.vertices_m[:, 2] > 0.029).sum() == 3


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sh3f").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "b.sh3f", "w") as file:
        file.writestr("other.txt", "")
    for name in ("a.sh3f", "b.sh3f", "missing.sh3f"):
        with pytest.raises(InputError, match="furniture library"):
            FurnitureLibrary(tmp_path / name)
