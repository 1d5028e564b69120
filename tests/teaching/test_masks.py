"""Masks of shown objects by every source, against the truth; what cannot be told is refused with its reason."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.teaching.masks.color_mask import mask_by_click
from molmo_point.teaching.masks.difference_mask import mask_by_difference
from molmo_point.teaching.masks.given_mask import mask_given, mask_in_box, mask_of_polygon
from molmo_point.teaching.masks.mask_sources import find_object_mask
from molmo_point.teaching.masks.motion_mask import mask_by_motion
from molmo_point.teaching.masks.photograph_mask import mask_of_photograph
from molmo_point.teaching.masks.region_mask import mask_by_region
from molmo_point.teaching.object_mask import MaskDoubt, MaskSource, NoMask, ObjectMask, ViewRefusal

from ..grasp.solids import mask_of, pixel_of
from .shown import BALL, BOX, frame_of, overlap


def on(item) -> tuple[float, float]:
    u, v = pixel_of((*item.position_base_m[:2], 2 * item.half_size_m[2]))
    return float(u), float(v)


def refusal(found: ObjectMask | NoMask) -> ViewRefusal:
    assert isinstance(found, NoMask)
    assert found.message.endswith((".", "!")) and "\n" not in found.message
    return found.refusal


def test_the_only_object_on_the_table_is_found_by_depth():
    found = mask_by_region(frame_of(BOX))
    assert overlap(found, BOX) > 0.95
    assert found.source is MaskSource.REGION


def test_an_empty_table_has_no_object():
    assert refusal(mask_by_region(frame_of())) is ViewRefusal.NO_OBJECT


def test_two_objects_are_refused_with_their_places_and_a_click_chooses():
    frame = frame_of(BOX, BALL)
    found = mask_by_region(frame)
    assert refusal(found) is ViewRefusal.SEVERAL_OBJECTS
    assert isinstance(found, NoMask) and len(found.places) == 2
    for place in found.places:
        assert any(mask_of((BOX, BALL), index)[round(place[1]), round(place[0])] for index in (0, 1))
    assert overlap(mask_by_region(frame, on(BALL)), BOX, BALL, index=1) > 0.9


def test_the_mask_follows_the_color_where_depth_is_shifted():
    frame = frame_of(BOX)
    assert frame.depth_m is not None
    padded = np.pad(frame.depth_m, ((2, 0), (4, 0)), mode="edge")[:-2, :-4]
    shifted = replace(frame, depth_m=padded)
    assert overlap(mask_by_region(shifted), BOX) > 0.93


def test_an_object_without_color_of_its_own_gets_a_wide_rim():
    found = mask_by_region(frame_of(BOX, colors=((160, 160, 160),)))
    assert isinstance(found, ObjectMask) and MaskDoubt.OUTLINE_BY_DEPTH in found.doubts
    assert overlap(found, BOX) > 0.95


def test_depth_is_needed_for_a_region():
    with pytest.raises(InputError, match="depth"):
        mask_by_region(frame_of(BOX, depth=False))


@pytest.mark.parametrize("depth", [True, False])
def test_the_difference_to_the_empty_scene_is_the_object_in_any_light(depth):
    empty, frame = frame_of(depth=depth), frame_of(BOX, depth=depth, seed=1)
    assert overlap(mask_by_difference(frame, empty), BOX) > 0.93
    dimmed = replace(frame, color=(frame.color * np.array([0.8, 0.78, 0.75])).astype(np.uint8))
    assert overlap(mask_by_difference(dimmed, empty), BOX) > 0.93
    assert refusal(mask_by_difference(empty, replace(frame_of(depth=depth, seed=2)))) is ViewRefusal.NO_OBJECT


@pytest.mark.parametrize("depth", [True, False])
def test_a_shadow_is_no_part_of_the_difference(depth):
    empty, frame = frame_of(depth=depth), frame_of(BOX, depth=depth, seed=1)
    shadow = np.roll(mask_of((BOX,), 0), 40, axis=1) & ~mask_of((BOX,), 0)
    color = np.where(shadow[..., None], frame.color * 0.6, frame.color).astype(np.uint8)
    assert overlap(mask_by_difference(replace(frame, color=color), empty), BOX) > 0.9


def test_two_new_objects_are_refused_and_a_click_chooses():
    empty, frame = frame_of(depth=False), frame_of(BOX, BALL, depth=False, seed=1)
    found = mask_by_difference(frame, empty)
    assert refusal(found) is ViewRefusal.SEVERAL_OBJECTS
    assert overlap(mask_by_difference(frame, empty, on(BOX)), BOX, BALL) > 0.9


def test_a_camera_that_moved_a_little_is_undone_and_one_that_moved_far_is_refused():
    checks = np.indices((240, 320)).sum(axis=0) // 9 % 2 * np.random.default_rng(0).integers(0, 90, (240, 320, 1))[..., 0]
    empty = RgbdFrame((90 + cv2.blur(checks.astype(np.float32), (3, 3)))[..., None].repeat(3, 2).astype(np.uint8), None, None, 0)
    color = np.where(mask_of((BOX,), 0)[..., None], (190, 40, 40), empty.color).astype(np.uint8)
    for shift_px, moves in ((5, True), (40, False)):
        moved = replace(
            empty, color=np.ascontiguousarray(np.pad(empty.color, ((0, 0), (shift_px, 0), (0, 0)), "reflect")[:, :320])
        )
        found = mask_by_difference(replace(empty, color=color), moved)
        assert overlap(found, BOX) > 0.9 if moves else refusal(found) is ViewRefusal.SCENE_CHANGED


def test_images_of_two_sizes_have_no_difference():
    small = RgbdFrame(np.zeros((48, 64, 3), np.uint8), None, None, 0)
    with pytest.raises(InputError, match="one size"):
        mask_by_difference(frame_of(), small)
    with pytest.raises(InputError, match="one size"):
        mask_by_motion(frame_of(), [small])


def test_one_click_is_enough_without_depth():
    frame = frame_of(BOX, BALL, depth=False)
    assert overlap(mask_by_click(frame.color, on(BOX)), BOX, BALL) > 0.93
    assert overlap(mask_by_click(frame.color, on(BALL)), BOX, BALL, index=1) > 0.93


def test_a_click_on_the_table_finds_no_object():
    assert refusal(mask_by_click(frame_of(BOX).color, (40.0, 40.0))) is ViewRefusal.UNCLEAR


@pytest.mark.parametrize("uv", [(-3.0, 5.0), (float("nan"), 5.0), (5.0, 240.0)])
def test_a_click_outside_is_an_error(uv):
    with pytest.raises(InputError, match="pixel of the image"):
        mask_by_click(frame_of(BOX).color, uv)


def test_an_object_alone_in_a_photograph_needs_no_click():
    assert overlap(mask_of_photograph(frame_of(BOX).color), BOX) > 0.93


def test_a_photograph_of_nothing_or_of_two_objects_is_refused():
    assert refusal(mask_of_photograph(frame_of().color)) in (ViewRefusal.NO_OBJECT, ViewRefusal.UNCLEAR)
    found = mask_of_photograph(frame_of(BOX, BALL).color)
    assert refusal(found) is ViewRefusal.SEVERAL_OBJECTS


def test_what_moves_against_the_scene_is_the_object():
    before = [frame_of(replace(BOX, position_base_m=(0.0, -0.004 * k, 0.02)), depth=False, seed=k) for k in (2, 1)]
    found = mask_by_motion(frame_of(BOX, depth=False, seed=3), before)
    assert overlap(found, BOX) > 0.9
    still = [frame_of(BOX, depth=False, seed=k) for k in (4, 5)]
    assert refusal(mask_by_motion(frame_of(BOX, depth=False), still)) is ViewRefusal.NO_OBJECT


def test_a_given_mask_is_taken_as_it_is():
    color, true = frame_of(BOX).color, mask_of((BOX,), 0)
    for given in (
        true,
        true.astype(np.uint8),
        255 * true.astype(np.uint8)[..., None],
        np.dstack([color, 255 * true]).astype(np.uint8),
    ):
        found = mask_given(color, given)
        assert isinstance(found, ObjectMask) and np.array_equal(found.mask, true)
    assert refusal(mask_given(color, np.zeros_like(true))) is ViewRefusal.NO_OBJECT
    assert refusal(mask_given(color, np.ones_like(true))) is ViewRefusal.TOO_LARGE
    with pytest.raises(InputError, match="height and width"):
        mask_given(color, true[:-1])


def test_a_polygon_and_a_box_choose_the_object():
    color, true = frame_of(BOX).color, mask_of((BOX,), 0)
    rows, columns = np.nonzero(true)
    left, top, right, bottom = columns.min() - 8, rows.min() - 8, columns.max() + 8, rows.max() + 8
    found = mask_in_box(color, (left, top, right, bottom))
    assert overlap(found, BOX) > 0.93 and found.doubts == (MaskDoubt.BOX,)
    square = mask_of_polygon(color, [(10, 10), (30, 10), (30, 30), (10, 30)])
    assert isinstance(square, ObjectMask) and (square.mask | square.ignored)[10:31, 10:31].all()
    for wrong in ([(1, 2), (3, 4)], [(1, 2), (3, 4), (float("inf"), 0)]):
        with pytest.raises(InputError, match="polygon"):
            mask_of_polygon(color, wrong)
    for wrong in ((5, 5, 6, 200), (400, 10, 500, 50), (1, 2, 3)):
        with pytest.raises(InputError, match="box"):
            mask_in_box(color, wrong)


def test_the_best_source_is_taken_for_what_is_given():
    frame, flat = frame_of(BOX), frame_of(BOX, depth=False)
    for found, source in (
        (find_object_mask(frame), MaskSource.REGION),
        (find_object_mask(frame, empty=frame_of()), MaskSource.DIFFERENCE),
        (find_object_mask(flat, uv=on(BOX)), MaskSource.CLICK),
        (find_object_mask(flat), MaskSource.ALONE),
    ):
        assert isinstance(found, ObjectMask) and found.source is source
    for source, words in ((MaskSource.DIFFERENCE, "empty"), (MaskSource.CLICK, "uv"), (MaskSource.GIVEN, "mask")):
        with pytest.raises(InputError, match=words):
            find_object_mask(frame, source)
