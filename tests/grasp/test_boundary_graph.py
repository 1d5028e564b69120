"""Merging of basins by the evidence along their boundary, their sizes and their colors."""

import pytest

from molmo_point.grasp.boundary_graph import BoundaryGraph

RED, GREEN = [50.0, 60.0, 40.0], [50.0, -40.0, 30.0]


def merged(evidence: float, areas: tuple[int, int], colors: list[list[float]]) -> bool:
    boundary = [40 * evidence, 40]
    graph = BoundaryGraph([{1: boundary}, {0: boundary}], list(areas), [-1, -1], [-1.0, -1.0], colors, 0.003)
    cluster = graph.merge()
    return bool(cluster[0] == cluster[1])


@pytest.mark.parametrize(("evidence", "colors", "one"), [(0.35, [RED, GREEN], False), (0.35, [RED, RED], True), (0.35, [], True)])
def test_two_colors_add_to_a_faint_crease(evidence: float, colors: list[list[float]], one: bool) -> None:
    assert merged(evidence, (400, 400), colors) is one


def test_colors_without_a_crease_are_print() -> None:
    assert merged(0.1, (400, 400), [RED, GREEN])


def test_a_small_basin_needs_a_stronger_boundary() -> None:
    assert merged(0.7, (4, 400), []) and not merged(0.7, (400, 400), [])
