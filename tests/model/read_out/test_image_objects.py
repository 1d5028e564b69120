"""Objects from votes: touching ones are divided, rings keep their point, names are those of their cells."""

import numpy as np
import pytest

from molmo_point.model.read_out.image_objects import image_objects
from molmo_point.model.read_out.read_out_network import CellMaps

CELL = 8.0


def maps_of(labels: np.ndarray) -> CellMaps:
    """Return the maps of a perfect reading; the noun of object k is k."""
    rows, columns = labels.shape
    middles = np.stack(np.meshgrid((np.arange(columns) + 0.5) * CELL - 0.5, (np.arange(rows) + 0.5) * CELL - 0.5), -1)
    centers, nouns = middles.copy(), np.full((*labels.shape, 4), -6.0)
    for number in range(labels.max() + 1):
        centers[labels == number] = middles[labels == number].mean(0)
        nouns[labels == number, number] = 4.0
    presence = np.where(labels >= 0, 0.95, 0.02)
    nothing = np.zeros((*labels.shape, 1))
    return CellMaps(presence, centers, nouns, nothing, nothing, CELL)


def test_touching_objects_are_two_with_names_and_places_of_their_own() -> None:
    labels = np.full((12, 16), -1)
    labels[2:8, 2:7], labels[2:8, 7:14] = 0, 1
    found = sorted(image_objects(maps_of(labels)), key=lambda each: each.u)
    assert [int(each.nouns.argmax()) for each in found] == [0, 1]
    assert (found[0].u, found[0].v) == pytest.approx((4.5 * CELL - 0.5, 5 * CELL - 0.5), abs=0.5)
    assert found[1].box == pytest.approx((7 * CELL - 0.5, 2 * CELL - 0.5, 14 * CELL - 0.5, 8 * CELL - 0.5))
    assert [each.cells for each in found] == [30, 42]


def test_the_point_of_a_ring_lies_on_the_ring() -> None:
    labels = np.full((12, 12), -1)
    labels[2:9, 2:9] = 0
    labels[4:7, 4:7] = -1
    (ring,) = image_objects(maps_of(labels))
    assert labels[int((ring.v + 0.5) // CELL), int((ring.u + 0.5) // CELL)] == 0


def test_an_empty_image_and_a_single_cell_are_nothing() -> None:
    labels = np.full((6, 6), -1)
    assert image_objects(maps_of(labels)) == ()
    labels[3, 3] = 0
    assert image_objects(maps_of(labels)) == ()
