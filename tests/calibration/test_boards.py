"""Boards: what is printed is what is detected, in true scale; nonsense is refused."""

import re

import numpy as np
import pytest

from molmo_point.calibration.boards import DEFAULT, PAPERS_MM, Board, board_pdf, board_yaml, load_board, squares
from molmo_point.calibration.detection import detect
from molmo_point.calibration.rehearsal_arm import render_board
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.hand_eye.synthetic import viewpoints

pytest.importorskip("cv2")

BOARDS = (DEFAULT, Board("chessboard", 10, 7, 0.025), Board("apriltag", 5, 4, 0.045, 0.035))
LENS = Intrinsics(640, 480, 610.0, 600.0, 322.0, 236.0, "brown_conrady", (-0.1, 0.05, 0.001, -0.001, 0.0))
EACH = pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.kind)


@EACH
def test_a_rendered_board_is_found_where_it_is(board):
    rng = np.random.default_rng(0)
    for pose in viewpoints(rng, 3, 30.0, 60.0, (0.42, 0.5), board.points.mean(axis=0)):
        found = detect(board, render_board(board, pose, LENS))
        truth = LENS.project(board.points @ pose[:3, :3].T + pose[:3, 3])
        assert found.reason == "" and found.count == len(truth)
        limit = 0.5 if board.kind == "apriltag" else 0.2
        assert np.nanmax(np.linalg.norm(found.uv - truth, axis=1)) < 3.0 * limit
        assert np.sqrt(np.nanmean((found.uv - truth) ** 2)) < limit
        assert 1.0 < found.sharpness_px < 4.0


def test_what_is_half_hidden_is_nan_and_what_is_absent_has_a_reason():
    pose = viewpoints(np.random.default_rng(0), 1, 10.0, 10.0, (0.45, 0.46), DEFAULT.points.mean(axis=0))[0]
    image = render_board(DEFAULT, pose, LENS)
    image[:, :300] = 128
    found = detect(DEFAULT, image)
    truth = LENS.project(DEFAULT.points @ pose[:3, :3].T + pose[:3, 3])
    assert 6 <= found.count < 24
    assert not np.isfinite(found.uv[truth[:, 0] < 290]).any()
    assert detect(DEFAULT, np.full((480, 640, 3), 128, np.uint8)).reason == "no board found"
    assert detect(Board("charuco", 7, 5, 0.03, 0.022, first_marker=100), image).reason


def test_a_blurred_picture_is_wider_at_its_edges():
    pose = viewpoints(np.random.default_rng(0), 1, 10.0, 10.0, (0.45, 0.46), DEFAULT.points.mean(axis=0))[0]
    sharp = detect(DEFAULT, render_board(DEFAULT, pose, LENS)).sharpness_px
    assert detect(DEFAULT, render_board(DEFAULT, pose, LENS, blur_px=1.6)).sharpness_px > 1.3 * sharp


@EACH
def test_the_pdf_is_in_true_scale(board):
    text = board_pdf(board).decode("latin-1")
    width, height = (float(v) / 72.0 * 25.4 for v in re.search(r"MediaBox \[0 0 (\S+) (\S+)\]", text).groups())
    assert any(np.allclose((width, height), size, atol=0.01) for size in PAPERS_MM.values())
    rectangles = np.array([[float(v) for v in m] for m in re.findall(r"(\S+) (\S+) (\S+) (\S+) re", text)]) / 72.0 * 25.4
    cells = squares(board)
    printed = rectangles[: len(cells)]
    assert np.allclose(printed[:, 2], [1e3 * side for *_, side in cells], atol=1e-3)
    spans = [np.ptp(np.r_[printed[:, i], printed[:, i] + printed[:, 2 + i]]) for i in range(2)]
    assert np.allclose(spans, [1e3 * side for side in board.size_m], atol=1e-3)
    ticks = rectangles[len(cells) :]
    assert np.isclose(ticks[100, 0] - ticks[0, 0], 100.0, atol=1e-3)  # the ruler
    assert text.startswith("%PDF-1.4") and "/PrintScaling /None" in text
    start = int(re.search(r"startxref\n(\d+)", text).group(1))
    assert text[start : start + 4] == "xref"


@EACH
def test_the_yaml_is_read_back(board, tmp_path):
    path = tmp_path / "board.yaml"
    path.write_text(board_yaml(board))
    assert load_board(path) == board


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "circles"}, "kind must be one of"),
        ({"square_m": 30.0}, "square_m must be between"),
        ({"marker_m": 0.03}, "must be smaller than square_m"),
        ({"columns": 7.5}, "whole number"),
        ({"rows": 1}, "must have at least"),
        ({"kind": "chessboard", "rows": 3}, "must have at least 4 x 4"),
        ({"kind": "chessboard", "columns": 3}, "must have at least 4 x 4"),
        ({"dictionary": "DICT_9X9"}, "must be a marker dictionary"),
        ({"columns": 40, "rows": 40}, "must hold all markers"),
        ({"color": "red"}, "must hold the board's keys"),
    ],
)
def test_nonsense_is_refused(values, words):
    with pytest.raises(InputError, match=words):
        Board.from_dict({**DEFAULT.to_dict(), **values})


def test_a_board_larger_than_the_paper_is_refused():
    with pytest.raises(InputError, match="must fit"):
        board_pdf(Board("chessboard", 10, 7, 0.05), "A4")
