"""Contact sheets of taught objects: where the outline is, and that every picture has its place."""

import numpy as np

from molmo_point.viz.labeled_sheet import TILE_PX, draw_sheet
from molmo_point.viz.taught_sheet import pictures_tile, view_tile

GREEN = (0, 205, 140)


def outlined(picture: np.ndarray) -> np.ndarray:
    return (picture == GREEN).all(-1)


def test_the_outline_lies_on_the_edge_of_the_mask_in_both_pictures():
    color = np.full((400, 400, 3), 90, np.uint8)
    mask = np.zeros((400, 400), bool)
    mask[100:200, 240:300] = True
    whole, cut = view_tile(color, mask, ["view 1"]).pictures
    assert whole.shape == cut.shape == (TILE_PX, TILE_PX, 3)
    v, u = np.nonzero(outlined(whole))
    assert abs(v.min() - 50) <= 1 and abs(v.max() - 99) <= 1 and abs(u.min() - 120) <= 1 and abs(u.max() - 149) <= 1
    v, u = np.nonzero(outlined(cut))
    assert np.ptp(v) > 0.7 * TILE_PX and 0.55 < np.ptp(u) / np.ptp(v) < 0.65, "the object fills the cut, in its shape"


def test_a_view_without_a_mask_and_an_object_at_the_border_are_drawn():
    color = np.zeros((30, 600, 3), np.uint8)
    assert len(view_tile(color, None, ["refused"], bad=True).pictures) == 1
    mask = np.zeros((30, 600), bool)
    mask[0:30, 580:600] = True
    assert len(view_tile(color, mask, []).pictures) == 2
    sheet = draw_sheet([view_tile(color, mask, ["a"]), pictures_tile([color, color], ["b"])], "title")
    assert sheet.shape[1] > 3 * 2 * TILE_PX
