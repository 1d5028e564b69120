"""Boards that differ from their YAML: other patterns, borders and orders are read right, other boards are named."""

from dataclasses import replace

import numpy as np
import pytest

from molmo_point.calibration.board_photos import detect_each, what_else
from molmo_point.calibration.boards import DEFAULT, Board, marker_dictionary
from molmo_point.calibration.detection import detect
from molmo_point.calibration.rehearsal_arm import render_board
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import applied
from molmo_point.hand_eye.synthetic import viewpoints

pytest.importorskip("cv2")

LENS = Intrinsics(640, 480, 610.0, 600.0, 322.0, 236.0)
CHARUCO = Board("charuco", 6, 4, 0.035, 0.026)
GRID = Board("apriltag", 4, 3, 0.055, 0.042)
KALIBR = replace(GRID, border_cells=2, from_bottom=True)


def view(board, yaw_deg=60.0, seed=0):
    return viewpoints(np.random.default_rng(seed), 1, 25.0, yaw_deg, (0.42, 0.5), board.points.mean(axis=0))[0]


@pytest.mark.parametrize(
    ("stated", "printed", "word"),
    [
        (CHARUCO, replace(CHARUCO, legacy=True), "legacy: true"),
        (replace(CHARUCO, legacy=True), CHARUCO, "legacy: false"),
        (GRID, replace(GRID, border_cells=2), "border_cells: 2"),
        (GRID, replace(GRID, from_bottom=True), "from_bottom: true"),
        (GRID, KALIBR, "from_bottom: true"),
        (KALIBR, KALIBR, ""),
    ],
    ids=["old pattern", "new pattern", "wide border", "from the bottom", "Kalibr", "as stated"],
)
def test_another_pattern_is_read_and_said(stated, printed, word):
    pose = view(printed)
    photos = [("a", render_board(printed, pose, LENS))]
    found = detect_each(stated, photos, 1, lambda line: None)
    ((_, seen),) = found.kept
    truth = LENS.project(applied(pose, stated.points))
    assert seen.count == len(truth) and np.abs(seen.uv - truth).max() < 1.5
    assert word in " ".join(found.notes) and bool(found.notes) == bool(word)


def test_a_narrow_view_takes_the_order_of_the_other_photos():
    printed = replace(GRID, from_bottom=True)
    pose = view(printed)
    whole = render_board(printed, pose, LENS)
    truth = LENS.project(applied(pose, GRID.points))
    narrow = np.full_like(whole, 128)
    top = truth[: 4 * GRID.columns]
    low, high = top.min(axis=0).astype(int) - 6, top.max(axis=0).astype(int) + 6
    narrow[low[1] : high[1], low[0] : high[0]] = whole[low[1] : high[1], low[0] : high[0]]
    found = detect_each(GRID, [("a", whole), ("b", whole), ("c", narrow)], 3, lambda line: None)
    uv = dict(found.kept)["c"].uv
    seen = np.isfinite(uv[:, 0])
    assert seen.sum() >= 8 and np.abs(uv - truth)[seen].max() < 5.0


@pytest.mark.parametrize(
    ("stated", "printed", "word"),
    [
        (DEFAULT, replace(DEFAULT, dictionary="DICT_4X4_100"), "17 markers of DICT_4X4_50 (ids 0 to 16), the board says"),
        (GRID, replace(GRID, dictionary="DICT_APRILTAG_25h9"), "12 markers of DICT_APRILTAG_25h9"),
        (replace(GRID, first_marker=100), GRID, "the board has the ids 100 to 111"),
    ],
)  # fmt: skip
def test_other_markers_are_named(stated, printed, word):
    image = render_board(printed, view(printed), LENS)
    assert detect(stated, image).reason and word in what_else(stated, [image])


def test_mirrored_images_are_named():
    image = np.ascontiguousarray(render_board(DEFAULT, view(DEFAULT), LENS)[:, ::-1])
    assert "mirrored" in what_else(DEFAULT, [image])


def test_tags_at_another_distance_are_refused_with_the_figures():
    image = render_board(GRID, view(GRID), LENS)
    assert "is about 1.3" in (reason := detect(replace(GRID, square_m=0.065), image).reason) and "says 1.55 times" in reason


@pytest.mark.parametrize("size", [(10, 7), (7, 10), (6, 6), (9, 7)])
def test_the_first_corner_of_a_chessboard_has_a_black_square_outside(size):
    board = Board("chessboard", *size, 0.022)
    for seed, yaw in ((0, 10.0), (1, 170.0), (2, 170.0)):
        pose = view(board, yaw, seed)
        uv = detect(board, render_board(board, pose, LENS)).uv
        truth = LENS.project(applied(pose, board.points))
        orders = [truth] if board.like_turns == 1 else [truth, truth[::-1]]
        assert min(np.abs(uv - order).max() for order in orders) < 1.5


@pytest.mark.parametrize(("size", "turns"), [((10, 7), 1), ((9, 7), 2), ((8, 6), 2), ((8, 8), 2), ((7, 7), 4)])
def test_chessboards_know_after_which_turns_they_look_the_same(size, turns):
    assert Board("chessboard", *size, 0.02).like_turns == turns
    assert Board("charuco", *size, 0.02, 0.015).like_turns == 1


def test_target_files_of_kalibr_are_read():
    values = {"target_type": "aprilgrid", "tagCols": 6, "tagRows": 5, "tagSize": 0.088, "tagSpacing": 0.3}
    board = Board.from_dict(values)
    assert (board.columns, board.rows, board.border_cells, board.from_bottom) == (6, 5, 2, True)
    assert board.square_m == pytest.approx(0.1144)
    fields = {"targetCols": 8, "targetRows": 5, "rowSpacingMeters": 0.03, "colSpacingMeters": 0.03}
    assert Board.from_dict({"target_type": "checkerboard", **fields}) == Board("chessboard", 9, 6, 0.03)
    for bad in ({**values, "tagSpacing": True}, {"target_type": "circlegrid"}, {"target_type": ["aprilgrid"]}):
        with pytest.raises(InputError):
            Board.from_dict(bad)


def test_one_tag_needs_no_pitch():
    assert Board.from_dict({"kind": "aruco", "columns": 1, "rows": 1, "marker_m": 0.1}).square_m == pytest.approx(0.125)


def test_tags_of_several_sizes_are_refused():
    image = np.full((480, 640), 255, np.uint8)
    board = Board("apriltag", 4, 3, 0.14, 0.1)
    dictionary = marker_dictionary(board.dictionary)
    for number in range(12):
        side = 70 if number % 5 == 1 else 100
        v, u = 40 + 140 * (number // 4), 40 + 140 * (number % 4)
        image[v : v + side, u : u + side] = dictionary.generateImageMarker(number, side)
    assert "several sizes" in detect(board, image).reason


TAG = Board("aruco", 1, 1, 0.125, 0.1, "DICT_4X4_50")


def test_a_single_tag_is_read_whatever_its_id():
    printed = replace(TAG, first_marker=7)
    poses = viewpoints(np.random.default_rng(0), 3, 25.0, 60.0, (0.42, 0.5), TAG.points.mean(axis=0))
    photos = [(str(i), render_board(printed, pose, LENS)) for i, pose in enumerate(poses)]
    photos.append(("other", render_board(replace(TAG, first_marker=9), poses[0], LENS)))
    found = detect_each(TAG, photos, 4, lambda line: None)
    assert [name for name, _ in found.kept] == ["0", "1", "2"] and dict(found.dropped)["other"] == "another tag: id 9"
    assert any("first_marker: 7" in note for note in found.notes)
    assert np.abs(found.kept[0][1].uv - LENS.project(applied(poses[0], TAG.points))).max() < 1.0
    words = what_else(CHARUCO, [photo for _, photo in photos[:2]])
    assert "single tag, id 7" in words and "columns: 1, rows: 1" in words


def test_a_single_tag_is_too_little_for_intrinsics_and_needs_no_pitch():
    from molmo_point.calibration.intrinsics_fit import calibrate_intrinsics

    with pytest.raises(InputError, match="at least 6 points"):
        calibrate_intrinsics(TAG, [("a", np.zeros((48, 64, 3), np.uint8))])
    values = {"kind": "aruco", "columns": 1, "rows": 1, "marker_m": 0.1, "square_m": 0.1}
    assert Board.from_dict(values).marker_m == 0.1
