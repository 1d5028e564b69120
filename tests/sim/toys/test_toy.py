"""Toys: each follows from its number, its mesh is closed, and its convex pieces fill it."""

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.sim.toys.placed_toy import PlacedToy, standing
from molmo_point.sim.toys.toy import MOST_TOYS, Toy, ToyVariant, toy_model
from molmo_point.sim.toys.toy_forms import FORMS
from molmo_point.sim.toys.toy_looks import CALM, MAIN_WEIGHTS, PATTERNS
from molmo_point.sim.toys.toy_parts import about, block, extruded, rod, rounded, tube, turned

PARTS = {
    "turned": turned([(0.5, 0), (0.2, 0.5), (0.6, 1.0)]),
    "prism": turned([(0.5, 0), (0.3, 1.0)], 5),
    "star": extruded([(0.6, 0), (0.1, 0.1), (0, 0.6), (-0.1, 0.1), (-0.6, 0), (-0.1, -0.1), (0, -0.6), (0.1, -0.1)], 0.3),
    "block": block(0.4, 0.6, 0.8).at(0.1, 0.2, 0.3),
    "tube": tube(np.array([(np.cos(a), 0, np.sin(a)) for a in np.linspace(-1.5, 1.5, 9)]), 0.1),
    "rounded": rounded((0.3, 0.4, 0.5), (0.5, 1.4)).rotated(about(0, 0.7)),
    "rod": rod(1.0, 0.1),
}


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return float(np.sum(a * np.cross(b, c)) / 6)


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_closed_and_face_outwards(name: str) -> None:
    part = PARTS[name]
    places, corners = np.unique(np.round(part.vertices, 9), axis=0, return_inverse=True)
    faces = corners.reshape(-1)[part.faces]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[edges[:, 0] != edges[:, 1]]
    net = np.zeros((len(places), len(places)), int)
    np.add.at(net, tuple(edges.T), 1)
    assert np.array_equal(net, net.T)
    assert volume(part.vertices, part.faces) > 0
    assert part.uv.min() >= -1e-9 and part.uv.max() <= 1 + 1e-9


@pytest.mark.parametrize("name", PARTS)
def test_pieces_fill_their_part(name: str) -> None:
    part = PARTS[name]
    scipy_spatial = pytest.importorskip("scipy.spatial")
    filled = sum(scipy_spatial.ConvexHull(piece).volume for piece in part.pieces)
    assert filled == pytest.approx(volume(part.vertices, part.faces), rel=0.15)


def test_every_form_makes_toys_of_their_size_that_stand_on_the_table() -> None:
    seen = set()
    for number in range(150):
        toy = Toy(number, widest_m=0.05)
        model = toy_model(toy)
        seen.add(model.form)
        low, high = model.vertices_m.min(0), model.vertices_m.max(0)
        assert low[2] == pytest.approx(0.0, abs=1e-9)
        assert np.allclose(low[:2] + high[:2], 0.0)
        assert 0.02 < (high - low).max() < 0.16
        assert 0.005 < model.width_m <= 0.05 + 1e-9
        assert volume(model.vertices_m, model.faces) > 0
        assert model.uv.min() >= 0 and model.uv.max() <= 1
    assert seen == set(FORMS)
    assert len(MAIN_WEIGHTS) == len(PATTERNS) and set(CALM) <= set(PATTERNS)


def test_a_number_gives_the_same_toy_and_another_number_another() -> None:
    first = toy_model(Toy(5))
    toy_model.cache_clear()
    again, other = toy_model(Toy(5)), toy_model(Toy(6))
    assert np.array_equal(first.vertices_m, again.vertices_m) and np.array_equal(first.texture, again.texture)
    assert not np.array_equal(first.texture, other.texture)


def test_names_of_toys_are_invented_and_differ() -> None:
    names = {Toy(number).name for number in range(20_000)}
    assert len(names) == 20_000
    assert all(len(name) == 7 and name.isalpha() for name in names)
    assert len({Toy(3, variant).name for variant in ToyVariant}) == len(ToyVariant)


def test_variants_share_form_or_look() -> None:
    one, colors, pattern, form = (toy_model(Toy(8, variant)) for variant in ToyVariant)
    assert np.array_equal(one.vertices_m, colors.vertices_m) and not np.array_equal(one.texture, colors.texture)
    assert np.array_equal(one.vertices_m, pattern.vertices_m) and not np.array_equal(one.texture, pattern.texture)
    assert np.array_equal(one.texture, form.texture) and one.vertices_m.shape != form.vertices_m.shape


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="in range"):
        Toy(MOST_TOYS)
    with pytest.raises(InputError, match="in range"):
        Toy(-1)


def test_distances_are_those_of_the_placed_surface() -> None:
    number = next(n for n in range(200) if toy_model(Toy(n)).form == "jar")
    toy = Toy(number)
    height = toy_model(toy).height_m
    item = PlacedToy(toy, (0.1, 0.2, 0.3), standing(toy, (0, 0), 0.5).quat)
    over = item.signed_distance(np.array([[0.1, 0.2, 0.3 + height + 0.02], [0.1, 0.2, 0.3 + 0.01], [0.1, 0.2, 0.27]]))
    assert over == pytest.approx([0.02, -0.01, 0.03], abs=1e-6)
