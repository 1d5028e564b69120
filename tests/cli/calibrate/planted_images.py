"""Folders of samples with images of a rendered board, with one mistake each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from molmo_point.calibration.boards import DEFAULT, Board, board_yaml
from molmo_point.calibration.rehearsal_arm import render_board
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import inverse, moved
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.synthetic import random_truth, viewpoints

LENS = Intrinsics(640, 480, 610.0, 609.0, 321.0, 238.0)
CHESSBOARD = Board("chessboard", 10, 7, 0.025)


def write_session(
    folder: Path,
    board: Board = DEFAULT,
    *,
    printed: Board | None = None,
    stated: Intrinsics = LENS,
    lens: Intrinsics = LENS,
    setup: Setup = Setup.EYE_IN_HAND,
    mirrored: bool = False,
    same: dict[int, int] | None = None,
    yaw_deg: float = 80.0,
    count: int = 12,
    seed: int = 0,
) -> dict[str, Any]:
    """Write images, board.yaml, intrinsics.yaml and samples.yaml; return the true X under "x".

    Args:
        folder: Folder of the samples.
        board: Board of the YAML.
        printed: Board in the images, if it is another one.
        stated: Intrinsics of the YAML.
        lens: Intrinsics of the images.
        setup: Mounting of the camera.
        mirrored: True to exchange left and right in the images.
        same: Numbers of samples whose image is that of another sample.
        yaw_deg: Largest turn of the board in the image.
        count: Number of samples.
        seed: Seed of the views and of the noise.
    """
    rng = np.random.default_rng(seed)
    x, w = random_truth(rng, setup)
    printed = printed or board
    views = viewpoints(rng, count, 32.0, yaw_deg, (0.38, 0.5), printed.points.mean(axis=0))
    robot = moved(setup.outer(w @ inverse(x @ views)), rng.normal(size=(count, 6)) * np.repeat([0.0002, 0.0009], 3))
    images = [render_board(printed, view, lens, rng=rng) for view in views]
    samples = []
    for i, pose in enumerate(robot):
        image = images[(same or {}).get(i, i)]
        Image.fromarray(image[:, ::-1] if mirrored else image).save(folder / f"{i:02d}.png")
        samples.append({"id": f"{i:02d}", "image": f"{i:02d}.png", "base_T_gripper": {"matrix": pose.tolist()}})
    values = {"setup": setup.value, "intrinsics": "intrinsics.yaml", "board": "board.yaml", "samples": samples}
    (folder / "board.yaml").write_text(board_yaml(board))
    (folder / "intrinsics.yaml").write_text(yaml.safe_dump(stated.to_dict()))
    (folder / "samples.yaml").write_text(yaml.safe_dump(values))
    return {"x": x}


IMAGE_MISTAKES: dict[str, tuple[str, dict[str, Any]]] = {
    "focal length 6 % too large": ("intrinsics", {"stated": replace(LENS, fx=LENS.fx * 1.06, fy=LENS.fy * 1.06)}),
    "focal length 5 % too small": ("intrinsics", {"stated": replace(LENS, fx=LENS.fx * 0.95, fy=LENS.fy * 0.95)}),
    "principal point 25 px off": ("intrinsics", {"stated": replace(LENS, cx=LENS.cx + 25, cy=LENS.cy - 15)}),
    "distortion not stated": (
        "intrinsics",
        {"lens": replace(LENS, distortion_model="brown_conrady", distortion=(-0.3, 0.1, 0.0, 0.0, 0.0))},
    ),
    "board 3 % larger than stated": ("board_scale", {"printed": Board("charuco", 7, 5, 0.0309, 0.022 * 1.03)}),
    "chessboard 3 % smaller than stated": ("board_scale", {"board": CHESSBOARD, "printed": Board("chessboard", 10, 7, 0.02425)}),
    "mirrored images of a chessboard": ("images_mirrored", {"board": CHESSBOARD, "mirrored": True}),
    "one image twice": ("repeated_image", {"same": {7: 4}}),
    "a frozen camera": ("repeated_image", {"same": dict.fromkeys(range(2, 12), 2)}),
}
"""Cause to be named, and arguments of `write_session`."""

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "mirrored images of markers": ("mirrored", {"mirrored": True}),
    "another dictionary": (
        "17 markers of DICT_6X6_50",
        {"printed": Board("charuco", 7, 5, 0.03, 0.022, "DICT_6X6_250")},
    ),
    "another family": ("DICT_APRILTAG_36h11", {"printed": Board("apriltag", 5, 4, 0.045, 0.035)}),
    "other ids": ("first_marker", {"board": replace(DEFAULT, first_marker=60), "printed": DEFAULT}),
    "a chessboard for a ChArUco board": ("chessboard of 10 x 7 squares", {"printed": CHESSBOARD}),
    "a chessboard of another size": ("9 x 6 squares", {"board": CHESSBOARD, "printed": Board("chessboard", 9, 6, 0.025)}),
    "columns and rows exchanged": ("markers of", {"board": Board("charuco", 5, 7, 0.03, 0.022), "printed": DEFAULT}),
    "another spacing of tags": (
        "1.30 times",
        {"board": Board("apriltag", 5, 4, 0.05, 0.035), "printed": Board("apriltag", 5, 4, 0.045, 0.035)},
    ),
}
"""Words of the refusal, and arguments of `write_session`."""
