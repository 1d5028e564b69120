"""Odd values anywhere in files of boards and samples: read, or refused in one line; never a crash."""

import copy
import random

import numpy as np
import pytest
import yaml

from molmo_point.calibration.boards import DEFAULT, Board, load_board
from molmo_point.calibration.pose_entries import pose_entry
from molmo_point.calibration.sample_file import load_session
from molmo_point.errors import MolmoPointError
from molmo_point.hand_eye.synthetic import Condition, synthetic_set

pytest.importorskip("cv2")

KALIBR = {"target_type": "aprilgrid", "tagCols": 6, "tagRows": 5, "tagSize": 0.088, "tagSpacing": 0.3}
ODD = [
    None, True, 0, -1, 10**9, 10**400, -0.03, float("nan"), float("inf"), "", "x", "nan", [], [[1, 2], [3]], {}, {"a": 1},
    [None] * 3, [True] * 4, ["1", "2", "3"], 2**63, [float("nan")] * 3, [[float("inf")] * 4] * 4, [10**400] * 3,
    "/dev/zero", ".", "\x1b[31m",
]  # fmt: skip


def places(value, path=()):
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def changed(value, rng):
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 2])):
        *path, last = rng.choice([path for path in places(value) if path] or [("samples",)])
        part = value
        for key in path:
            part = part[key]
        if rng.random() < 0.2:
            del part[last]
        else:
            part[last] = copy.deepcopy(rng.choice(ODD))
    return value


def samples():
    data, _ = synthetic_set(Condition(count=7), 1)
    poses = zip(data.base_T_gripper, data.poses.camera_T_board)
    return {
        "setup": "eye_in_hand",
        "samples": [
            {"id": str(i), "base_T_gripper": pose_entry(r), "camera_T_board": pose_entry(b)} for i, (r, b) in enumerate(poses)
        ],
    }


def try_files(reader, files, count, folder, seed):
    rng = random.Random(seed)
    path = folder / "samples.yaml"
    for _ in range(count):
        path.write_text(yaml.safe_dump(changed(rng.choice(files), rng)))
        try:
            reader(path)
        except MolmoPointError as error:
            assert "\n" not in str(error) and len(str(error)) < 2000


BOARDS = [DEFAULT.to_dict(), Board("aruco", 1, 1, 0.13, 0.1).to_dict(), KALIBR]


def test_odd_values_are_read_or_refused(tmp_path):
    try_files(load_board, BOARDS, 60, tmp_path, 1)
    try_files(load_session, [samples()], 30, tmp_path, 2)


@pytest.mark.slow
def test_thousands_of_odd_values_are_read_or_refused(tmp_path):
    try_files(load_board, BOARDS, 2000, tmp_path, 3)
    try_files(load_session, [samples()], 2000, tmp_path, 4)


def test_more_squares_than_a_board_has_are_refused():
    for change in (
        {"columns": 10**9},
        {"square_m": True},
        {"square_m": -0.03},
        {"marker_m": 0.04},
        {"columns": True},
        {"rows": 10**400},
    ):
        with pytest.raises(MolmoPointError):
            Board.from_dict({**DEFAULT.to_dict(), **change})
    assert np.isfinite(DEFAULT.points).all()
