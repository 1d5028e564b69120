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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.arrays import ColorArray, FloatArray
from molmo_point.calibration.board_photos import Detections, detect_each
from molmo_point.calibration.boards import Board, load_board
from molmo_point.calibration.rotation_forms import FORMS, is_form, matrix_readings, other_readings, rotations_of
from molmo_point.camera.image_file import load_color
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics, load_intrinsics
from molmo_point.geometry.mapping_file import read_mapping
from molmo_point.geometry.rigid import applied, inverse, motion
from molmo_point.geometry.transforms import Transform
from molmo_point.hand_eye.closure import closures
from molmo_point.hand_eye.half_turns import consistent_turns, point_orders
from molmo_point.hand_eye.readings import Reading
from molmo_point.hand_eye.samples import HandEyeSet, hand_eye_set

_KEYS = {"setup", "base_frame", "gripper_frame", "camera_frame", "intrinsics", "board", "samples"}
_CLEARLY_BETTER = 2.0
_ABSURD = 1e9
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


def load_session(path: str | Path, progress: Callable[[str], None] = lambda line: None) -> Session:
    """Read a sample file and detect the board in its images.

    Raises:
        InputError: For a missing file, a sample without image or pose, repeated ids, images of another size than the
            intrinsics, or too few samples with a board.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "samples.yaml"
    values = read_mapping(path)
    _check_keys(path, values)
    folder = path.parent
    entries = values["samples"]
    ids = [_id_of(entry, path, number) for number, entry in enumerate(entries)]
    if len(set(ids)) != len(ids):
        raise InputError("The ids of samples must differ", f"{path}: {sorted(ids)}", "give each sample its own id")
    robot = np.array([read_pose(entry["base_T_gripper"], name, path) for entry, name in zip(entries, ids)])
    from_images = "image" in entries[0]
    if any(("image" in entry) != from_images for entry in entries):
        raise InputError("All samples must have an image, or all a board pose", str(path), "give the same for all")
    if from_images:
        found, board, camera = _from_images(values, folder, entries, ids, path, progress)
        dropped, notes, points = found.dropped, found.notes, board.points
        kept = np.array([ids.index(name) for name, _ in found.kept])
        uv = np.array([each.uv for _, each in found.kept])
    else:
        kept, dropped, notes, board, camera = np.arange(len(ids)), [], (), None, _VIRTUAL
        points, uv = _from_poses(entries, ids, path)
    if len(kept) < len(ids) and len(kept) < 5:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in dropped[:5])
        given = f"{len(kept)} of {len(ids)} ({reasons}) {' '.join(notes)}".strip()
        raise InputError("The board must be found in 5 images", given, "check the board's YAML")
    names = tuple(ids[i] for i in kept)
    data = hand_eye_set(values.get("setup", "eye_in_hand"), robot[kept], uv, points, camera, names, not from_images)
    if board is not None and board.like_turns > 1:
        data, turned = consistent_views(data, board.like_turns)
        notes = (*notes, *turned)
    kept_entries = [entries[i] for i in kept]
    return Session(
        data,
        _readings(data, kept_entries),
        str(values.get("base_frame", "base_link")),
        str(values.get("gripper_frame", "tool0")),
        str(values.get("camera_frame", "camera_color_optical_frame")),
        tuple(dropped),
        tuple(folder / entry["image"] if from_images else None for entry in kept_entries),
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


def _from_poses(entries: list[Any], ids: list[str], path: Path) -> tuple[FloatArray, FloatArray]:
    points, uv = _virtual(np.array([read_pose(entry["camera_T_board"], name, path) for entry, name in zip(entries, ids)]))
    behind = [name for name, seen in zip(ids, uv) if not np.isfinite(seen).all()]
    if behind:
        raise InputError(
            "Every board must be in front of the camera: the board poses look inverted (board_T_camera)",
            f"{path}: {', '.join(behind[:5])}",
            "give camera_T_board, the pose of the board in the camera frame, z forward",
        )
    return points, uv


def _virtual(boards: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Convert board poses to points of a virtual board in a virtual camera, so that all samples have one form.

    The board is as large in the image for any unit of length, so that a wrong unit can still be solved, and named.
    """
    v, u = np.mgrid[0:3, 0:4]
    distance = max(float(np.median(np.linalg.norm(boards[:, :3, 3], axis=1))), 1e-6)
    points = np.stack([u.ravel() - 1.5, v.ravel() - 1.0, np.zeros(12)], axis=1) * 0.1 * distance
    return points, _VIRTUAL.project(applied(boards, points))


def read_pose(values: Any, name: str, path: Path) -> FloatArray:
    """Read a pose (4, 4) from its YAML.

    Args:
        values: Mapping of the pose.
        name: Id of the sample, for messages.
        path: Path of the file, for messages.

    Raises:
        InputError: If the mapping is not a pose.
    """
    where = f"{path}, sample {name}"
    if not isinstance(values, Mapping):
        raise InputError("A pose must be a mapping", f"{where}: {values!r}", "give translation_m and a rotation, or matrix")
    try:
        if set(values) == {"matrix"}:
            return Transform.from_matrix("a", "b", _numbers(values["matrix"], (4, 4))).matrix
        form, numbers, shift = _parts_of(values)
        return motion(rotations_of(form, numbers), shift)
    except InputError as error:
        raise InputError(error.what, f"{where}: {error.given}", error.fix) from error


def _parts_of(values: Mapping[str, Any]) -> tuple[str, FloatArray, FloatArray]:
    """Return the form of the rotation, its numbers, and the translation of a pose that is not a matrix."""
    forms = [form for form in values if isinstance(form, str) and is_form(form)]
    if len(forms) != 1 or set(values) != {"translation_m", forms[0]}:
        fix = f"give matrix alone, or one of {', '.join(FORMS)}, euler_ZYX_deg (any axes; capitals for moving axes)"
        raise InputError("A pose must have translation_m and one rotation", f"{sorted(map(str, values))}", fix)
    numbers = _numbers(values[forms[0]], (4,) if forms[0].startswith("quat") else (3,))
    return forms[0], numbers, _numbers(values["translation_m"], (3,))


def _numbers(values: Any, shape: tuple[int, ...]) -> FloatArray:
    """Convert nested lists of numbers to an array; texts, truth values and missing values are not numbers.

    Raises:
        InputError: If the lists have another shape, or hold anything but finite numbers.
    """
    flat = values if len(shape) == 1 else [part for row in values for part in row] if _is_table(values) else None
    if not isinstance(flat, list) or any(isinstance(part, bool) or not isinstance(part, int | float) for part in flat):
        raise InputError("A pose must hold lists of numbers", _short(values), "check the lists")
    if len(flat) != int(np.prod(shape)):
        words = "3 numbers of translation, and 3 or 4 of rotation" if len(shape) == 1 else "4 rows of 4 numbers"
        raise InputError(f"A pose must have {words}", _short(values), "check the lists")
    try:
        array = np.reshape(np.array(flat, np.float64), shape)
    except OverflowError as error:
        raise InputError("A pose must hold finite numbers", _short(values), "check the lists") from error
    if not np.abs(array).max() < _ABSURD:
        raise InputError(
            "A pose must hold finite numbers, of less than ten digits",
            _short(values),
            "leave this sample out, or record it again",
        )
    return array


def _is_table(values: Any) -> bool:
    return isinstance(values, list) and len(values) == 4 and all(isinstance(row, list) and len(row) == 4 for row in values)


def _short(values: Any) -> str:
    text = repr(values)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _readings(data: HandEyeSet, entries: list[Any]) -> tuple[Reading, ...]:
    """List the other readings of the poses in the file, likeliest first."""
    found = []
    for what, key in (("robot", "base_T_gripper"), ("board", "camera_T_board")):
        if key not in entries[0]:
            continue
        given = data.base_T_gripper if what == "robot" else data.poses.camera_T_board
        poses = [entry[key] for entry in entries]
        kinds = {tuple(sorted(pose)) for pose in poses}
        if len(kinds) > 1:
            continue
        if "matrix" in poses[0]:
            turned = matrix_readings(what, given[:, :3, :3])
        else:
            parts = [_parts_of(pose) for pose in poses]
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
    forms = {_parts_of(pose)[0] if "matrix" not in pose else "matrix" for pair in pairs for pose in pair}
    if len(forms) > 1 or "matrix" in forms:
        return []
    robot, board = (np.array([_parts_of(pair[i])[1] for pair in pairs]) for i in (0, 1))
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


def pose_entry(matrix: FloatArray) -> dict[str, Any]:
    """Convert a pose (4, 4) to the form of the sample file."""
    value = Transform.from_matrix("a", "b", matrix)
    return {"translation_m": value.translation_m.tolist(), "quaternion_xyzw": value.quaternion_xyzw.tolist()}
