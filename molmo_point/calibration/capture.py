"""Guided recording of hand-eye samples: next view, test for stillness, coverage."""

import enum
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.arrays import ColorArray, FloatArray
from molmo_point.calibration.boards import Board, board_yaml
from molmo_point.calibration.detection import Detection, detect
from molmo_point.calibration.pose_entries import pose_entry
from molmo_point.errors import InputError
from molmo_point.files import encode_png, write_file
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.planar_pose import board_poses
from molmo_point.geometry.rigid import angle_between, motion, rotation_exp
from molmo_point.hand_eye.next_pose import view_words
from molmo_point.hand_eye.samples import Setup

_STILL_FRAMES, _STILL_PX = 3, 1.0
_NEW_VIEW_DEG, _NEW_VIEW_M = 8.0, 0.03
_TILTS_DEG = (18.0, 35.0)
_SIDES = 6
_DISTANCES_M = (0.35, 0.55)


class LookStatus(enum.Enum):
    """Result of one look at the board."""

    NO_BOARD = "NO_BOARD"
    """The board was not found in the image."""
    MOVING = "MOVING"
    """The view or the arm was not at rest."""
    KNOWN_VIEW = "KNOWN_VIEW"
    """A sample of this view was taken before."""
    TAKEN = "TAKEN"
    """A sample was taken."""


@dataclass(frozen=True, eq=False)
class Advice:
    """Instruction to the user after one look.

    Attributes:
        status: Result of the look.
        words: Instruction in words.
        taken: Id of the sample just taken; empty if none was.
        target: Next camera_T_board (4, 4); None after the last planned view.
    """

    status: LookStatus
    words: str
    taken: str
    target: FloatArray | None


class GuidedCapture:
    """Collector of samples into a folder that `calibrate hand-eye` reads.

    Args:
        folder: Folder of the samples; created if missing, must not hold samples, nor files of their names.
        board: Board in view.
        intrinsics: Intrinsics of the camera.
        setup: Mounting of the camera.
        frames: Frame names of base, gripper and camera.

    Raises:
        InputError: If the folder holds samples or such files.
    """

    def __init__(
        self,
        folder: str | Path,
        board: Board,
        intrinsics: Intrinsics,
        setup: Setup = Setup.EYE_IN_HAND,
        *,
        frames: tuple[str, str, str] = ("base_link", "tool0", "camera_color_optical_frame"),
    ) -> None:
        self.folder, self._board, self._intrinsics = Path(folder), board, intrinsics
        names = ("samples.yaml", "board.yaml", "intrinsics.yaml", "[0-9][0-9][0-9].png")
        held = [path.name for name in names for path in self.folder.glob(name)]
        if held:
            raise InputError("folder must not hold samples", f"{folder} has {held[0]}", "choose another folder, or remove it")
        self._setup, self._frames = setup, frames
        self._recent: deque[tuple[FloatArray, FloatArray]] = deque(maxlen=_STILL_FRAMES)
        self._entries: list[dict[str, Any]] = []
        self._views: list[FloatArray] = []
        self.plan = planned_views(board)

    def __len__(self) -> int:
        return len(self._entries)

    def look(self, image: ColorArray, base_T_gripper: FloatArray) -> Advice:
        """Look at one image; take a sample if the board is found, the view is still, and the view is new."""
        found = detect(self._board, image)
        if found.reason:
            self._recent.clear()
            return self._advice(LookStatus.NO_BOARD, f"{found.reason}: bring the whole board into view")
        self._recent.append((found.uv, np.asarray(base_T_gripper, np.float64)))
        if not self._still():
            return self._advice(LookStatus.MOVING, "hold still")
        pose = board_poses(self._board.points, found.uv[None], self._intrinsics).camera_T_board[0]
        if any(_same_view(pose, other) for other in self._views):
            return self._advice(LookStatus.KNOWN_VIEW, "this view is taken")
        name = self._take(image, found, pose)
        return self._advice(LookStatus.TAKEN, f"took sample {name}", name)

    def coverage(self) -> str:
        """Describe the coverage: one mark per planned view, the largest tilt, the range of rotation."""
        marks = "".join("●" if self._done(view) else "○" for view in self.plan)
        views = np.array(self._views or [np.eye(4)])
        tilts = np.rad2deg(np.arccos(np.clip(np.abs(views[:, 2, 2]), 0, 1)))
        turns = np.rad2deg(np.arctan2(views[:, 1, 0], views[:, 0, 0]))
        return f"views {marks}  tilt up to {tilts.max():.0f}°, turn over {np.ptp(turns):.0f}°"

    def _done(self, view: FloatArray) -> bool:
        return any(np.rad2deg(angle_between(view[:3, :3], other[:3, :3])) < 15.0 for other in self._views)

    def _still(self) -> bool:
        if len(self._recent) < _STILL_FRAMES:
            return False
        points = np.array([uv for uv, _ in self._recent])
        moved = points - points[0]
        # The arm must be at rest too: a lagging pose would make a wrong sample.
        robots = np.array([pose for _, pose in self._recent])
        shift = np.linalg.norm(robots[:, :3, 3] - robots[0, :3, 3], axis=1).max()
        both = np.isfinite(moved)
        return bool(both.any() and np.abs(moved[both]).max() < _STILL_PX and shift < 0.002)

    def _take(self, image: ColorArray, found: Detection, pose: FloatArray) -> str:
        name = f"{len(self._entries) + 1:03d}"
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self.folder / f"{name}.png", encode_png(image))
        self._entries.append({"id": name, "image": f"{name}.png", "base_T_gripper": pose_entry(self._recent[-1][1])})
        self._views.append(pose)
        self._write()
        return name

    def _write(self) -> None:
        import yaml

        base, gripper, camera = self._frames
        values = {
            "setup": self._setup.value,
            "base_frame": base,
            "gripper_frame": gripper,
            "camera_frame": camera,
            "intrinsics": "intrinsics.yaml",
            "board": "board.yaml",
            "samples": self._entries,
        }
        dump = yaml.safe_dump(self._intrinsics.to_dict(), sort_keys=False)
        write_file(self.folder / "board.yaml", board_yaml(self._board).encode())
        write_file(self.folder / "intrinsics.yaml", dump.encode())
        write_file(self.folder / "samples.yaml", yaml.safe_dump(values, sort_keys=False, default_flow_style=None).encode())

    def _advice(self, status: LookStatus, words: str, taken: str = "") -> Advice:
        left = [view for view in self.plan if not self._done(view)]
        if not left:
            return Advice(status, f"{words}; all planned views are done", taken, None)
        last = self._views[-1] if self._views else None
        # The nearest open view keeps the arm's motions short.
        target = left[0] if last is None else min(left, key=lambda v: float(angle_between(v[:3, :3], last[:3, :3])))
        center = self._board.points.mean(axis=0)
        return Advice(status, f"{words}; next: {view_words(target, center)}", taken, target)


def planned_views(board: Board) -> list[FloatArray]:
    """Plan views camera_T_board for a good calibration: tilted to all sides, rotated, near and far."""
    views = []
    center = board.points.mean(axis=0)
    for ring, tilt in enumerate(_TILTS_DEG):
        for side in range(_SIDES):
            angle = 2.0 * np.pi * (side + 0.5 * ring) / _SIDES
            lean = rotation_exp(np.deg2rad(tilt) * np.array([np.cos(angle), np.sin(angle), 0.0]))
            turn = np.deg2rad((-60.0, 0.0, 60.0, 30.0, -30.0, 90.0)[(side + ring) % 6])
            rotation = rotation_exp(np.array([0.0, 0.0, turn])) @ lean
            distance = _DISTANCES_M[(side + ring) % 2]
            aside = 0.05 * distance * np.array([np.cos(2.0 * angle), np.sin(2.0 * angle), 0.0])
            views.append(motion(rotation, np.array([0.0, 0.0, distance]) + aside - rotation @ center))
    return views


def _same_view(first: FloatArray, second: FloatArray) -> bool:
    turn = np.rad2deg(angle_between(first[:3, :3], second[:3, :3]))
    return bool(turn < _NEW_VIEW_DEG and np.linalg.norm(first[:3, 3] - second[:3, 3]) < _NEW_VIEW_M)
