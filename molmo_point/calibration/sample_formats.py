"""Hand-eye samples of other software, found out by content, as the values of a sample file.

- easy_handeye2: `.samples`, transforms `robot` and `tracking`; the `.calib` next to it tells mounting and frames;
- MoveIt calibration: a list of `effector_wrt_world` and `object_wrt_sensor`, 4x4 row by row;
- ViSP: one file per pose, `pose_fPe_1.yaml` and `pose_cPo_1.yaml`, with translation and rotation vector;
- text: 4x4 matrices, stacked in two files or one a file; or rows of 16, 12, 8 (time, position, quaternion), 7 or 6
  numbers; the same as `.npy`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.calibration.pose_entries import read_pose
from molmo_point.errors import InputError
from molmo_point.files import decode_npy, read_file
from molmo_point.geometry.mapping_file import MAX_YAML_BYTES, decode_text, parse_values
from molmo_point.geometry.rigid import inverse
from molmo_point.geometry.transforms import Transform

MARK = "samples.yaml"
_TEXTS, _YAMLS = (".txt", ".csv", ".dat", ".tsv", ".npy"), (".yaml", ".yml", ".json", ".samples", ".calib")
_MOVEIT = ("effector_wrt_world", "object_wrt_sensor")
_CAMERA = {"cam", "camera", "sensor", "eye"}
_ROBOT = {"robot", "gripper", "hand", "base", "ee", "eef", "tcp", "effector", "endeffector", "flange", "arm", "tool", "world"}
_BOARD = {"marker", "target", "board", "tag", "tracking", "object", "pattern", "chessboard", "aruco", "charuco", "apriltag"}
_VISP = re.compile(r"(?:^|[^A-Za-z])([frwbeco])(?:P|M|T)([frwbeco])(?:[^A-Za-z]|$)")
_CONNECTED = re.compile(r"(?:^|[^a-z])([a-z]+)(_t_|2|_in_|_wrt_)([a-z]+)")
"""Two frames: base_T_gripper; OpenCV's gripper2base, gripper_in_base and gripper_wrt_base are the same."""
_PREFIXED = re.compile(r"(?:^|[^a-z])t_([a-z]+)_([a-z]+)")
_TITLE = re.compile(r"^[ \t]*[A-Za-z_][^\n]*$", re.MULTILINE)
"""A line of words, such as `Pose 3:` or the names of columns."""
_FAR_END = {"base": "gripper", "camera": "board", "gripper": "base", "board": "camera"}
_TUM_WIDTH = 8
"""A time, a position and a quaternion, as in trajectories of TUM."""
_ROW_FORMS = {7: "quaternion_xyzw", 6: "rotation_vector_rad"}


@dataclass(frozen=True, eq=False)
class ForeignSamples:
    """Samples of other software.

    Attributes:
        values: Values of a sample file; `setup` is missing where the files do not tell the mounting.
        notes: Sentences on what was understood.
    """

    values: dict[str, Any]
    notes: tuple[str, ...]


def foreign_samples(path: Path, setup: str | None = None) -> ForeignSamples | None:
    """Read samples of other software; None for a file or folder of this project's form.

    Args:
        path: File or folder.
        setup: Stated mounting, for files that do not tell it: eye_in_hand or eye_to_hand.

    Raises:
        InputError: For files that do not tell which poses are the robot's, or that cannot be paired.
    """
    if path.is_dir():
        if (path / MARK).exists():
            return foreign_samples(path / MARK, setup)
        whole = [each for each in sorted(path.iterdir()) if each.suffix in _YAMLS and _whole_session(_values_of(each))]
        if len(whole) > 1:
            given = ", ".join(each.name for each in whole[:5])
            raise InputError("The folder must hold one file of samples", f"{path}: {given}", "name the file")
        return foreign_samples(whole[0], setup) if whole else _from_pose_files(path)
    values = _values_of(path) if path.suffix.lower() not in _TEXTS else None
    if isinstance(values, list) and _is_list_of(values, _MOVEIT):
        return _from_moveit(values)
    if isinstance(values, Mapping) and _is_list_of(values.get("samples"), ("robot", "tracking")):
        return _from_easy_handeye(path, values, setup)
    if isinstance(values, Mapping) and "parameters" in values and {"transform", "transformation"} & values.keys():
        fix = "give the .samples file of ~/.ros2/easy_handeye2/samples, or the poses in a form of docs/calibration.md"
        raise InputError("A calibration of easy_handeye must come with its samples", f"{path}: a result", fix)
    if path.suffix.lower() in _TEXTS:
        fix = "name the folder that holds the robot's and the board's poses, e.g. base_T_gripper.txt and camera_T_board.txt"
        raise InputError("Samples of text files must be a folder", str(path), fix)
    return None


def _whole_session(values: Any) -> bool:
    return _is_list_of(values, _MOVEIT) or (
        isinstance(values, Mapping) and _is_list_of(values.get("samples"), ("robot", "tracking"))
    )


def _is_list_of(values: Any, keys: Sequence[str]) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(v, Mapping) and set(keys) <= v.keys() for v in values)


def _values_of(path: Path) -> Any:
    try:
        return parse_values(read_file(path, MAX_YAML_BYTES), str(path))
    except InputError:
        return None  # The reader of this project's form says what is wrong.


def _from_moveit(values: list[Any]) -> ForeignSamples:
    robot, board = ([_matrix(entry[key]) for entry in values] for key in _MOVEIT)
    note = "Samples of MoveIt calibration: effector_wrt_world is base_T_gripper, object_wrt_sensor is camera_T_board"
    return ForeignSamples({"samples": _entries(map(str, range(1, len(values) + 1)), robot, board)}, (note,))


def _from_easy_handeye(path: Path, values: Mapping[str, Any], stated: str | None) -> ForeignSamples:
    """Convert easy_handeye2's samples: `robot` is base_T_gripper on the hand, and gripper_T_base on the base."""
    parameters, told = values.get("parameters"), path.name
    parameters = parameters if isinstance(parameters, Mapping) and parameters.get("calibration_type") else {}
    for folder in () if parameters else (path.parent, path.parent.parent / "calibrations"):
        calib = folder / f"{path.stem}.calib"
        found = _values_of(calib) if calib.is_file() else None
        if isinstance(found, Mapping) and isinstance(found.get("parameters"), Mapping):
            parameters, told = found["parameters"], calib.name
            break
    kind = parameters.get("calibration_type")
    if kind is None and stated is not None:
        kind, told = "eye_on_base" if stated == "eye_to_hand" else stated, "--setup"
    setup = {"eye_in_hand": "eye_in_hand", "eye_on_hand": "eye_in_hand", "eye_on_base": "eye_to_hand"}.get(str(kind))
    if setup is None:
        fix = f"give --setup, put {path.stem}.calib next to it, or fill in calibration_type: eye_in_hand or eye_on_base"
        raise InputError("Samples of easy_handeye2 must tell the mounting of the camera", f"{path}: type {kind!r}", fix)
    robot, board = ([_transform(entry[key]) for entry in values["samples"]] for key in ("robot", "tracking"))
    if setup == "eye_to_hand":
        robot = list(inverse(np.array(robot)))
    way = "base_T_gripper" if setup == "eye_in_hand" else "gripper_T_base, as easy_handeye2 records it for eye_on_base"
    note = f"Samples of easy_handeye2, {setup} by {told}: robot is {way}; tracking is camera_T_board"
    names = {"base_frame": "robot_base_frame", "gripper_frame": "robot_effector_frame", "camera_frame": "tracking_base_frame"}
    frames = {ours: str(parameters[theirs]) for ours, theirs in names.items() if parameters.get(theirs)}
    ids = map(str, range(1, len(robot) + 1))
    return ForeignSamples({"setup": setup, **frames, "samples": _entries(ids, robot, board)}, (note,))


def _from_pose_files(folder: Path) -> ForeignSamples:
    """Pair files of poses by what their names say, and by their numbers."""
    files = sorted(path for path in [*folder.glob("*"), *folder.glob("*/*")] if path.suffix.lower() in (*_TEXTS, *_YAMLS[:2]))
    poses = {path: found for path in files if (found := _poses_in(path))}
    if not poses:
        given = f"{folder}: {', '.join(sorted(each.name for each in folder.iterdir())[:6]) or 'empty'}"
        fix = f"give {MARK}, .samples of easy_handeye2, or files of poses; docs/calibration.md lists the forms"
        raise InputError("The folder must hold hand-eye samples", given, fix)
    ways = {path: _way(path.relative_to(folder)) for path in poses}
    robot, board = ([path for path, way in ways.items() if way and way[0] == what] for what in ("robot", "board"))
    if not robot or not board:
        given = f"{folder}: {', '.join(str(path.relative_to(folder)) for path in list(poses)[:6])}"
        fix = (
            "name them after their frames, e.g. base_T_gripper.txt and camera_T_board.txt, or pose_fPe_1.yaml and pose_cPo_1.yaml"
        )
        raise InputError("The names of the files must tell the robot's poses from the board's", given, fix)
    ids, paired = _paired(folder, poses, robot, board)
    sides = [[_oriented(pose, ways[path]) for path, pose in side] for side in paired]
    words = "; ".join(sorted({_way_words(ways[path], path.name) for side in paired for path, _ in (side[0],)}))
    left = len(robot) + len(board) - 2 * len(ids) if max(len(poses[path]) for path in poses) == 1 else 0
    notes = [f"Poses of text files, {len(ids)} pairs: {words}", *([f"{left} files have no partner"] if left > 0 else [])]
    return ForeignSamples({"samples": _entries(ids, *sides)}, tuple(notes))


def _paired(
    folder: Path, poses: dict[Path, list[Any]], robot: list[Path], board: list[Path]
) -> tuple[list[str], tuple[list[tuple[Path, Any]], list[tuple[Path, Any]]]]:
    if len(robot) == 1 and len(board) == 1:
        both = tuple([(path, pose) for pose in poses[path]] for path in (robot[0], board[0]))
        if len(both[0]) != len(both[1]):
            given = f"{robot[0].name}: {len(both[0])}, {board[0].name}: {len(both[1])}"
            raise InputError("Both files must hold one pose per sample", given, "leave out samples that lack one of the two")
        return [str(number) for number in range(1, len(both[0]) + 1)], (both[0], both[1])
    numbered = [{_number(path): path for path in side} for side in (robot, board)]
    shared = sorted(numbered[0].keys() & numbered[1].keys())
    single = all(len(poses[path]) == 1 for path in (*robot, *board))
    if not shared or not single or [len(each) for each in numbered] != [len(robot), len(board)]:
        given = f"{folder}: {len(robot)} files of the robot, {len(board)} of the board"
        fix = "give one file of all poses for each, or one file a pose with the sample's number in its name"
        raise InputError("The files of poses must come in pairs", given, fix)
    sides = tuple([(each[number], poses[each[number]][0]) for number in shared] for each in numbered)
    return [str(number) for number in shared], (sides[0], sides[1])


def _number(path: Path) -> int:
    found = re.findall(r"\d+", path.stem)
    return int(found[-1]) if found else -1


def _way(path: Path) -> tuple[str, str, bool] | None:
    """Return what poses a file holds, by its name: "robot" or "board", `target_T_source`, and true if the name tells it."""
    name = str(path.with_suffix(""))
    visp = _VISP.search(name)
    if visp:
        target, source = (
            "base" if end in "frwb" else {"e": "gripper", "c": "camera", "o": "board"}[end] for end in visp.groups()
        )
        return None if _FAR_END[target] != source else (_kind(target), f"{target}_T_{source}", True)
    connected = _CONNECTED.search(name.lower()) or _PREFIXED.search(name.lower())
    if connected:
        first, by, second = connected.groups() if len(connected.groups()) == 3 else (connected[1], "_t_", connected[2])
        ends = [_end(first), _end(second)] if by == "_t_" else [_end(second), _end(first)]
        if ends[0] and ends[1] and _FAR_END[ends[0]] == ends[1]:
            return _kind(ends[0]), f"{ends[0]}_T_{ends[1]}", True
    found = {_kind(end) for word in re.findall(r"[a-z]+", name.lower()) if (end := _end(word))}
    if not found:
        return None
    # A camera's file may name the robot, too; the robot's file does not name the camera.
    kind = "board" if "board" in found else "robot"
    return kind, "base_T_gripper" if kind == "robot" else "camera_T_board", False


def _kind(end: str) -> str:
    return "robot" if end in ("base", "gripper") else "board"


def _end(word: str) -> str | None:
    """Return the frame that a word of a file's name means."""
    if word in _CAMERA:
        return "camera"
    if word in _BOARD:
        return "board"
    if word in ("base", "world"):
        return "base"
    return "gripper" if word in _ROBOT else None


def _way_words(way: tuple[str, str, bool] | None, name: str) -> str:
    assert way is not None
    return f"{name} read as {way[1]}{'' if way[2] else ', which its name does not tell'}"


def _oriented(pose: Any, way: tuple[str, str, bool] | None) -> Any:
    """Return a pose of the sample file: base_T_gripper or camera_T_board."""
    if way is None or way[1] in ("base_T_gripper", "camera_T_board"):
        return pose
    return inverse(read_pose(_plain(pose), way[1], Path(way[1])))


def _poses_in(path: Path) -> list[Any]:
    """Read the poses of one file, as the sample file writes them; empty if it holds none."""
    if path.suffix.lower() in _YAMLS:
        values = _values_of(path)
        if not isinstance(values, Mapping) or not {"rows", "cols", "data"} <= values.keys():
            return []
        rows = values["data"]
    elif path.suffix.lower() == ".npy":
        table = decode_npy(read_file(path, MAX_YAML_BYTES), str(path))
        rows = table.reshape(-1, table.shape[-1]).tolist() if table.ndim in (2, 3) and table.size else []
    else:
        try:
            lines = _TITLE.sub("", decode_text(read_file(path, MAX_YAML_BYTES))).splitlines()
            rows = [[float(part) for part in re.split(r"[\s,;\[\]]+", line.split("#")[0]) if part] for line in lines]
        except ValueError:
            return []
    return _poses_of([row for row in rows if row])


def _poses_of(rows: list[Any]) -> list[Any]:
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if len(widths) != 1:
        return []
    width, count = widths.pop(), len(rows)
    try:
        table = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        return []
    if width == 1 and count in (6, 7, 16):
        table, width = table.T, count
    if width == _TUM_WIDTH:
        table, width = table[:, 1:], width - 1
    if width in _ROW_FORMS:
        return [{"translation_m": row[:3].tolist(), _ROW_FORMS[width]: row[3:].tolist()} for row in table]
    if width == 4 and count % 4 == 0:
        return list(table.reshape(-1, 4, 4))
    if width in (12, 16):
        last = np.tile([0.0, 0.0, 0.0, 1.0], (len(table), 1))
        return list(np.hstack([table, last] if width == 12 else [table]).reshape(-1, 4, 4))
    return []


def _entries(ids: Any, robot: Sequence[Any], board: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {"id": name, "base_T_gripper": _plain(pose), "camera_T_board": _plain(seen)}
        for name, pose, seen in zip(ids, robot, board, strict=True)
    ]


def _plain(pose: Any) -> dict[str, Any]:
    return {"matrix": pose.tolist()} if isinstance(pose, np.ndarray) else pose


def _matrix(values: Any) -> FloatArray:
    """Convert 16 numbers or 4 rows of 4 to a matrix."""
    try:
        return np.array(values, dtype=np.float64).reshape(4, 4)
    except (TypeError, ValueError) as error:
        raise InputError("A pose must have 16 numbers", repr(values)[:120], "save the samples again") from error


def _transform(values: Any) -> FloatArray:
    """Convert a geometry_msgs/Transform."""
    try:
        shift, turn = (
            [float(values[key][axis]) for axis in axes] for key, axes in (("translation", "xyz"), ("rotation", "xyzw"))
        )
    except (TypeError, KeyError, ValueError) as error:
        what = "A transform must have translation x y z and rotation x y z w"
        raise InputError(what, repr(values)[:120], "save the samples again") from error
    return Transform.from_quaternion("a", "b", turn, shift).matrix
