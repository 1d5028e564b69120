"""Mistakes that only images show: the cause is named through the command line, or the images are refused with the reason."""

import json

import numpy as np
import pytest
from planted_images import CHESSBOARD, IMAGE_MISTAKES, REFUSED, write_session

from molmo_point.calibration.boards import Board
from molmo_point.cli import main
from molmo_point.hand_eye.samples import Setup

pytest.importorskip("cv2")


def run(folder, capsys):
    code = main(["calibrate", "hand-eye", str(folder), "--json", "--out", str(folder / "out")])
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out else None, captured.err


@pytest.mark.slow
@pytest.mark.parametrize("setup", list(Setup), ids=lambda s: s.value)
@pytest.mark.parametrize("name", IMAGE_MISTAKES)
def test_a_mistake_in_the_images_is_named(name, setup, tmp_path, capsys):
    cause, changes = IMAGE_MISTAKES[name]
    write_session(tmp_path, setup=setup, **changes)
    code, told, _ = run(tmp_path, capsys)
    assert code == 4 and {c["name"] for c in told["causes"]} - {"little_rotation"} == {cause}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_another_board_is_said(name, tmp_path, capsys):
    words, changes = REFUSED[name]
    write_session(tmp_path, **changes)
    code, told, said = run(tmp_path, capsys)
    assert code == 1 and told is None and words in said.splitlines()[-1]


ALIKE = (Board("chessboard", 9, 7, 0.025), Board("chessboard", 7, 7, 0.025), Board("chessboard", 8, 8, 0.025))


@pytest.mark.slow
@pytest.mark.parametrize("board", [CHESSBOARD, *ALIKE], ids=lambda b: f"{b.columns}x{b.rows}")
def test_chessboards_turned_by_any_angle_are_right(board, tmp_path, capsys):
    truth = write_session(tmp_path, board, yaw_deg=175.0)["x"]
    code, told, _ = run(tmp_path, capsys)
    assert code == 0 and np.linalg.norm(told["transform"]["translation_m"] - truth[:3, 3]) < 0.003
    assert bool(told["notes"]) == (board.like_turns > 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "board",
    [Board("apriltag", 1, 1, 0.13, 0.1), Board("aruco", 1, 1, 0.13, 0.1, "DICT_ARUCO_ORIGINAL", first_marker=582)],
    ids=lambda b: b.dictionary,
)
def test_a_single_tag_is_right(board, tmp_path, capsys):
    truth = write_session(tmp_path, board)["x"]
    code, told, _ = run(tmp_path, capsys)
    assert code == 0 and np.linalg.norm(told["transform"]["translation_m"] - truth[:3, 3]) < 0.005
