"""Files of hand-eye samples: a YAML with an id, an image (or a board pose) and a robot pose per sample.

```yaml
setup: eye_in_hand            # or eye_to_hand
base_frame: base_link
gripper_frame: tool0
camera_frame: camera_color_optical_frame
intrinsics: intrinsics.yaml
board: board.yaml
samples:
- id: "001"
  image: 001.png
  base_T_gripper: {translation_m: [0.4, 0.0, 0.5], quaternion_xyzw: [0.0, 1.0, 0.0, 0.0]}
```

A pose is a 4x4 `matrix`, or `translation_m` with one of `quaternion_xyzw`, `rotation_vector_rad`, `rotation_vector_deg`,
`rpy_rad`, `rpy_deg` (roll, pitch, yaw about fixed x, y, z), or angles in another order such as `euler_ZYX_deg` (capitals for
moving axes, see `rotation_forms`). Instead of `image`, a sample may have `camera_T_board`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.arrays import BoolArray, ColorArray, FloatArray
from molmo_point.calibration.board_photos import Detections, detect_each
from molmo_point.calibration.boards import Board, load_board
from molmo_point.calibration.pose_entries import parts_of, read_pose
from molmo_point.calibration.rotation_forms import matrix_readings, other_readings
from molmo_point.calibration.sample_formats import MARK, foreign_samples
from molmo_point.camera.image_file import load_color
from molmo_point.camera.intrinsics_files.camera_choice import load_intrinsics
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.mapping_file import read_mapping
from molmo_point.geometry.rigid import applied, inverse, motion
from molmo_point.hand_eye.closure import closures
from molmo_point.hand_eye.half_turns import consistent_turns, point_orders
from molmo_point.hand_eye.readings import Reading
from molmo_point.hand_eye.samples import HandEyeSet, Setup, hand_eye_set

_KEYS = {"setup", "base_frame", "gripper_frame", "camera_frame", "intrinsics", "board", "samples"}
_CLEARLY_BETTER, _COLLAPSE = 2.0, 4.0
_VIRTUAL = Intrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)


@dataclass(frozen=True, eq=False)
class Session:
    """Samples read from a file.

    Attributes:
        data: Samples, ready for a calibration.
        alternatives: Other readings of the same samples, for the search for mistakes.
        base_frame: Name of the base frame.
        gripper_frame: Name of the gripper frame.
        camera_frame: Name of the camera's optical frame.
        dropped: Id and reason of samples without a detected board.
        images: Path of each kept sample's image; None without one.
        board: Board in the images; None for a file of board poses.
        notes: Sentences on boards that differ from the stated one.
    """

    data: HandEyeSet
    alternatives: tuple[Reading, ...]
    base_frame: str
    gripper_frame: str
    camera_frame: str
    dropped: tuple[tuple[str, str], ...]
    images: tuple[Path | None, ...]
    board: Board | None
    notes: tuple[str, ...] = ()


def load_session(
    path: str | Path, progress: Callable[[str], None] = lambda line: None, setup: Setup | str | None = None
) -> Session:
    """Read samples and detect the board in their images. Files of other software: see `sample_formats`.

    Args:
        path: Sample file, or a folder of samples.
        progress: Called with a line per step.
        setup: Mounting of the camera, instead of the file's.

    Raises:
        InputError: For a missing file, a sample without image or pose, repeated ids, images of another size than the
            intrinsics, or too few samples with a board.
    """
    stated = Setup(setup).value if setup else None
    path, values, notes = _samples_of(Path(path), stated)
    values = {**values, **({"setup": stated} if stated else {})}
    entries, ids = values["samples"], _ids_of(values["samples"], path)
    robot = np.array([read_pose(entry["base_T_gripper"], name, path) for entry, name in zip(entries, ids)])
    if "image" not in entries[0]:
        boards = np.array([read_pose(entry["camera_T_board"], name, path) for entry, name in zip(entries, ids)])
        if "setup" not in values and notes:
            values["setup"] = mounting(robot, boards, path).value
        return _session(_from_poses(values, robot, boards, ids, path), values, entries, (), notes, None)
    found, board, camera = _from_images(values, path.parent, entries, ids, path, progress)
    kept = np.array([ids.index(name) for name, _ in found.kept])
    if len(kept) < len(ids) and len(kept) < 5:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found.dropped[:5])
        given = f"{len(kept)} of {len(ids)} ({reasons}) {' '.join(found.notes)}".strip()
        raise InputError("The board must be found in 5 images", given, "check the board's YAML")
    uv, names = np.array([each.uv for _, each in found.kept]), tuple(ids[i] for i in kept)
    data, notes = hand_eye_set(_setup_of(values), robot[kept], uv, board.points, camera, names), found.notes
    if board.like_turns > 1:
        data, turned = consistent_views(data, board.like_turns)
        notes = (*notes, *turned)
    entries = [{**entries[i], "path": path.parent / str(entries[i]["image"])} for i in kept]
    return _session(data, values, entries, found.dropped, notes, board)


def _samples_of(path: Path, setup: str | None) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
    """Return the path of the samples, their values, and sentences on what was understood of other software's files."""
    foreign = foreign_samples(path, setup) if path.exists() else None
    path = path / MARK if path.is_dir() and foreign is None else path
    values = read_mapping(path) if foreign is None else foreign.values
    _check_keys(path, values)
    return path, values, () if foreign is None else foreign.notes


def _setup_of(values: Mapping[str, Any]) -> Any:
    return values.get("setup", "eye_in_hand")


def _session(
    data: HandEyeSet,
    values: Mapping[str, Any],
    entries: list[Any],
    dropped: Sequence[tuple[str, str]],
    notes: tuple[str, ...],
    board: Board | None,
) -> Session:
    return Session(
        data,
        _readings(data, entries),
        str(values.get("base_frame", "base_link")),
        str(values.get("gripper_frame", "tool0")),
        str(values.get("camera_frame", "camera_color_optical_frame")),
        tuple(dropped),
        tuple(entry.get("path") for entry in entries),
        board,
        tuple(notes),
    )


def consistent_views(data: HandEyeSet, fold: int) -> tuple[HandEyeSet, tuple[str, ...]]:
    """Turn the board in some images, where it looks the same after a turn, if the robot's rotations then agree much better.

    Args:
        data: Samples as detected.
        fold: Number of turns after which the board looks the same.

    Returns:
        The samples, and a sentence on what was turned.
    """
    orders = point_orders(data.points_board, fold)
    if orders is None:
        return data, ()
    turns = consistent_turns(data.outer, data.poses.camera_T_board, fold)
    turned = data.with_points(np.take_along_axis(data.uv, orders[turns][..., None], axis=1), data.points_board)
    both = closures(np.stack([data.outer] * 2), np.stack([data.poses.camera_T_board, turned.poses.camera_T_board]), False)
    if not turns.any() or both.total[1] * _CLEARLY_BETTER > both.total[0]:
        return data, ()
    names = ", ".join(name for name, turn in zip(data.ids, turns) if turn)
    return turned, (
        f"The board looks the same after a turn of {360 // fold}°; it was turned in samples {names}, by the robot's poses",
    )


def _check_keys(path: Path, values: Mapping[str, Any]) -> None:
    unknown = sorted(map(str, values.keys() - _KEYS))
    samples = values.get("samples")
    if unknown or not isinstance(samples, list) or not samples or not all(isinstance(entry, Mapping) for entry in samples):
        raise InputError(
            "The file must be a file of hand-eye samples",
            f"{path}: unknown keys {unknown}, samples: {type(samples).__name__}",
            "give setup, intrinsics, board and a list `samples` (see calibration/README.md)",
        )


def _ids_of(entries: list[Any], path: Path) -> list[str]:
    ids = [_id_of(entry, path, number) for number, entry in enumerate(entries)]
    if len(set(ids)) != len(ids):
        raise InputError("The ids of samples must differ", f"{path}: {sorted(ids)}", "give each sample its own id")
    if any(("image" in entry) != ("image" in entries[0]) for entry in entries):
        raise InputError("All samples must have an image, or all a board pose", str(path), "give the same for all")
    return ids


def _id_of(entry: Mapping[str, Any], path: Path, number: int) -> str:
    name = str(entry.get("id", number))
    if "base_T_gripper" not in entry or ("image" in entry) == ("camera_T_board" in entry):
        raise InputError(
            "A sample must have a robot pose and either an image or a board pose",
            f"{path}, sample {name}: has {sorted(map(str, entry))}",
            "give base_T_gripper and either image or camera_T_board",
        )
    return name


def _from_images(
    values: Mapping[str, Any], folder: Path, entries: list[Any], ids: list[str], path: Path, progress: Callable[[str], None]
) -> tuple[Detections, Board, Intrinsics]:
    for key in ("board", "intrinsics"):
        if key not in values:
            raise InputError(f"A file of samples with images must name the {key}", str(path), f"add `{key}: {key}.yaml`")
    board, camera = load_board(folder / str(values["board"])), load_intrinsics(folder / str(values["intrinsics"]))
    images = (_load(folder, str(entry["image"]), camera) for entry in entries)
    found = detect_each(board, zip(ids, images), len(ids), progress)
    if not found.kept:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found.dropped[:3])
        given = f"none of {len(entries)} images, {board.describe()} ({' '.join(found.notes) or reasons})"
        raise InputError("The images must show the board", given, "check the board's YAML")
    return found, board, camera


def _load(folder: Path, name: str, camera: Intrinsics) -> ColorArray:
    image = load_color(folder / name)
    if image.shape[1::-1] != camera.size_wh:
        raise InputError(
            "An image must have the size of the intrinsics",
            f"{name}: {image.shape[1::-1]}, intrinsics {camera.size_wh} (width, height)",
            "use the intrinsics of these images",
        )
    return image


def mounting(robot: FloatArray, boards: FloatArray, path: Path) -> Setup:
    """Return the mounting of the camera by which the poses agree; files of other software may not tell it.

    Raises:
        InputError: If both agree as well, or neither does.
    """
    both = list(Setup)
    fit = closures(np.stack([setup.outer(robot) for setup in both]), np.stack([boards] * len(both)))
    # By the rotations alone: a hand that turns about one point hardly moves.
    turns = np.rad2deg(fit.turn_rad)
    best = int(np.argmin(turns))
    if not turns[best] * _COLLAPSE < turns[1 - best]:
        given = f"{path}: residuals {turns[0]:.1f}° for {both[0].value}, {turns[1]:.1f}° for {both[1].value}"
        raise InputError("The samples must tell the mounting of the camera", given, "give --setup eye_in_hand or eye_to_hand")
    return both[best]


def _from_poses(values: Mapping[str, Any], robot: FloatArray, boards: FloatArray, ids: list[str], path: Path) -> HandEyeSet:
    """Convert board poses to points and pixels of a virtual camera that looks at the boards."""
    points, uv = _virtual(boards)
    view = np.eye(4)
    seen: BoolArray = np.all(np.isfinite(uv), axis=(1, 2))
    if not seen.all():
        # A tracker may look along any axis of its frame. Poses that only agree when inverted are inverted.
        outer = robot if _setup_of(values) == Setup.EYE_IN_HAND else inverse(robot)
        as_given, inverted = closures(np.stack([outer] * 2), np.stack([boards, inverse(boards)])).turn_rad
        view = _view_of(boards)
        points, uv = _virtual(view @ boards)
        if inverted * _COLLAPSE < as_given or not np.isfinite(uv).all():
            behind = [name for name, front in zip(ids, seen) if not front]
            raise InputError(
                "Every board must be in front of the camera: the board poses look inverted (board_T_camera)",
                f"{path}: {', '.join(behind[:5])}",
                "give camera_T_board, the pose of the board in the camera frame, z forward",
            )
    return replace(hand_eye_set(_setup_of(values), robot, uv, points, _VIRTUAL, tuple(ids), True), view_T_camera=view)


def _view_of(boards: FloatArray) -> FloatArray:
    """Return the rotation (4, 4) that turns the mean direction of the boards to the z axis."""
    middle = boards[:, :3, 3].mean(axis=0)
    forward = middle / max(float(np.linalg.norm(middle)), 1e-12)
    side = np.cross(np.eye(3)[int(np.argmin(np.abs(forward)))], forward)
    side /= np.linalg.norm(side)
    return motion(np.stack([side, np.cross(forward, side), forward]), np.zeros(3))


def _virtual(boards: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Convert board poses to points of a virtual board in a virtual camera, so that all samples have one form.

    The board is as large in the image for any unit of length, so that a wrong unit can still be solved, and named.
    """
    v, u = np.mgrid[0:3, 0:4]
    distance = max(float(np.median(np.linalg.norm(boards[:, :3, 3], axis=1))), 1e-6)
    points = np.stack([u.ravel() - 1.5, v.ravel() - 1.0, np.zeros(12)], axis=1) * 0.1 * distance
    return points, _VIRTUAL.project(applied(boards, points))


def _readings(data: HandEyeSet, entries: list[Any]) -> tuple[Reading, ...]:
    """List the other readings of the poses in the file, likeliest first."""
    found = []
    for what, key in (("robot", "base_T_gripper"), ("board", "camera_T_board")):
        if key not in entries[0]:
            continue
        given = data.base_T_gripper if what == "robot" else inverse(data.view_T_camera) @ data.poses.camera_T_board
        poses = [entry[key] for entry in entries]
        kinds = {tuple(sorted(pose)) for pose in poses}
        if len(kinds) > 1:
            continue
        if "matrix" in poses[0]:
            turned = matrix_readings(what, given[:, :3, :3])
        else:
            parts = [parts_of(pose) for pose in poses]
            turned = other_readings(what, parts[0][0], np.array([numbers for _, numbers, _ in parts]))
        for reading, rotations in turned:
            changed = motion(rotations, given[:, :3, 3])
            found.append(replace(reading, **{key: changed}))
        if what == "board":
            words = "The board poses are inverted (board_T_camera)"
            fix = "give camera_T_board, the pose of the board in the camera frame"
            found.append(Reading("board_inverted", words, fix, camera_T_board=inverse(given)))
    return (*found, *_readings_of_both(data, entries))


def _readings_of_both(data: HandEyeSet, entries: list[Any]) -> list[Reading]:
    """List the readings of a file whose robot and board poses have one form, written wrongly in both."""
    if any("camera_T_board" not in entry for entry in entries):
        return []
    pairs = [(entry["base_T_gripper"], entry["camera_T_board"]) for entry in entries]
    forms = {parts_of(pose)[0] if "matrix" not in pose else "matrix" for pair in pairs for pose in pair}
    if len(forms) > 1 or "matrix" in forms:
        return []
    robot, board = (np.array([parts_of(pair[i])[1] for pair in pairs]) for i in (0, 1))
    form = forms.pop()
    return [
        replace(
            reading,
            base_T_gripper=motion(turned, data.base_T_gripper[:, :3, 3]),
            camera_T_board=motion(board_turned, data.poses.camera_T_board[:, :3, 3]),
        )
        for (reading, turned), (_, board_turned) in zip(
            other_readings("robot's and the board", form, robot), other_readings("board", form, board)
        )
    ]
