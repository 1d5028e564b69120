"""Gross mistakes: other readings of the same samples, of which the right one closes the hand-eye equation many times better.

A reading changes robot poses, board poses or their pairing. The closed form ranks all of them at once and leaves the unit of
length open. Only the best one is solved in full. It must explain the data, or nothing is claimed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product

import numpy as np

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.errors import MolmoPointError
from molmo_point.geometry.planar_pose import board_poses
from molmo_point.geometry.rigid import inverse, motion
from molmo_point.hand_eye.closed_form import robust_start
from molmo_point.hand_eye.closure import Closure, closures
from molmo_point.hand_eye.half_turns import half_turned, point_orders
from molmo_point.hand_eye.samples import MIN_SAMPLES, HandEyeSet, Setup
from molmo_point.hand_eye.solve import Solution, solve

_COLLAPSE = 4.0
_TIE, _SAME, _TRIED = 1.4, 1e-3, 4
_MOST_TURN_RAD, _MOST_SHIFT = float(np.deg2rad(3.0)), 0.1
_EXPLAINED_M, _EXPLAINED_RAD, _EXPLAINED_SHARE = 0.01, float(np.deg2rad(1.5)), 0.7
_FITS = 0.02
"""Residual of the samples as given, as `Closure.error`, up to which no other unit is looked for."""
_SAME_UNIT, _SAME_SIZE = 0.08, float(np.log(2.0))
_STARTS = 30
_REACH_M, _DISTANCE_M, _BOARD_M = (0.02, 8.0), (0.03, 12.0), (0.01, 4.0)
_USUAL_M, _CLEARLY = 0.6, 1.0
_LARGE_GAP = np.log(8.0)
UNITS = {"meters": 1.0, "millimeters": 0.001, "centimeters": 0.01, "inches": 0.0254, "decimeters": 0.1, "feet": 0.3048}
_RARE = {"decimeters", "feet"}


@dataclass(frozen=True, eq=False)
class Reading:
    """Other reading of the same samples.

    Attributes:
        name: Code of the mistake that the reading undoes.
        sentence: Description of the mistake.
        fix: Instruction to the user.
        base_T_gripper: Robot poses (n, 4, 4); None for those given.
        camera_T_board: Board poses (n, 4, 4); None for those given.
        setup: Mounting of the camera; None for the one given.
        images: Index (m,) of the image of each sample, and `robots` of its robot pose; None for the pairs as given.
        robots: See `images`.
        uv: Detected points (n, m, 2); None for those given.
        samples: Ids of the affected samples; empty for all.
    """

    name: str
    sentence: str
    fix: str
    base_T_gripper: FloatArray | None = None
    camera_T_board: FloatArray | None = None
    setup: Setup | None = None
    images: IntArray | None = None
    robots: IntArray | None = None
    uv: FloatArray | None = None
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Repair:
    """Reading that explains the data.

    Attributes:
        readings: Mistakes that it undoes, a wrong unit last; empty if the units alone are wrong or implausible.
        solution: Solution of the repaired samples.
        board_unit: Meters in a unit of the board's lengths.
    """

    readings: tuple[Reading, ...]
    solution: Solution
    board_unit: float


def find_repair(data: HandEyeSet, readings: Sequence[Reading] = (), poor: bool = True) -> Repair | None:
    """Find the reading that explains the data; None if the data as given are as good, or no reading explains them.

    Args:
        data: Samples as given.
        readings: Other readings of their file.
        poor: False tests the units only, for data that already fit.
    """
    now = closures(data.outer[None], data.poses.camera_T_board[None], free_scale=False)
    given = Reading("", "", "")
    groups = [lambda: readings]
    if poor:
        groups += [
            lambda: [*setup_readings(data), *_mixed(data)],
            lambda: _pairings(data),
            lambda: _half_turns(data),
            lambda: _mirrors(data),
        ]
    else:
        groups = [lambda: ()]
    for group in groups:
        found = _best(data, [given, *group()], float(now.error[0]))
        if found is not None:
            return found
    return None


def _best(data: HandEyeSet, group: list[Reading], now: float) -> Repair | None:
    """Try the readings that close the equation best; the group begins with the samples as given."""
    paired = any(reading.images is not None for reading in group)
    fits = [closures(*_equation(data, reading)) for reading in group] if paired else _together(data, group)
    errors, totals = (np.array([part(fit)[0] for fit in fits]) for part in (lambda fit: fit.error, lambda fit: fit.total))
    close = (errors <= _TIE * errors.min() + _SAME) & np.isfinite(errors)
    if not close.any():
        return None
    close &= totals <= _TIE * totals[close].min() + _SAME
    # Readings stand in the order of their plausibility.
    for i in np.flatnonzero(close)[:_TRIED]:
        fit, reading = fits[i], group[i]
        if fit.turn_rad[0] > _MOST_TURN_RAD or fit.shift[0] > _MOST_SHIFT:
            continue
        if reading.name and _COLLAPSE * errors[i] > min(now, errors[0]):
            continue
        # A hand that turns about one point leaves the scale open.
        scaled = abs(np.log(max(float(fit.scale[0]), 1e-9))) > _SAME_UNIT
        if not reading.name and scaled and max(_COLLAPSE * errors[i], _FITS) > now:
            continue
        units = _units(data, reading, float(fit.scale[0]))
        repair = _tried(data, reading, units) if units and (reading.name or units[0]) else None
        if repair is not None:
            return repair
    return None


def _equation(data: HandEyeSet, reading: Reading) -> tuple[FloatArray, FloatArray]:
    robot = data.base_T_gripper if reading.base_T_gripper is None else reading.base_T_gripper
    boards = data.poses.camera_T_board if reading.camera_T_board is None else reading.camera_T_board
    if reading.images is not None and reading.robots is not None:
        robot, boards = robot[reading.robots], boards[reading.images]
    return (reading.setup or data.setup).outer(robot)[None], boards[None]


def _together(data: HandEyeSet, group: list[Reading]) -> list[Closure]:
    outer, boards = (np.concatenate(part) for part in zip(*(_equation(data, reading) for reading in group)))
    fit = closures(outer, boards)
    parts = [getattr(fit, each.name) for each in fields(Closure)]
    return [Closure(*(part[i : i + 1] for part in parts)) for i in range(len(group))]


def _units(data: HandEyeSet, reading: Reading, scale: float) -> tuple[tuple[Reading, ...], float, float] | None:
    """Find the units of the robot and of the board from the ratio of their lengths; None if no pair is plausible."""
    robot = data.base_T_gripper if reading.base_T_gripper is None else reading.base_T_gripper
    reach = float(np.median(np.linalg.norm(robot[:, :3, 3], axis=1)))
    distance = float(np.median(np.linalg.norm(data.poses.camera_T_board[:, :3, 3], axis=1)))
    size = float(np.ptp(data.points_board, axis=0).max())
    found = []
    for (robot_unit, robot_m), (board_unit, board_m) in product(UNITS.items(), repeat=2):
        lengths = [(reach * robot_m, _REACH_M), (distance * board_m, _DISTANCE_M)]
        lengths += [] if data.from_poses else [(size * board_m, _BOARD_M)]
        # Ratios with two rare units explain too much.
        if {robot_unit, board_unit} & _RARE and robot_unit != board_unit and "meters" not in (robot_unit, board_unit):
            continue
        # A board file with plausible squares is in meters.
        sure = not data.from_poses and board_m != 1.0 and _BOARD_M[0] < size < _BOARD_M[1]
        if sure or abs(np.log(max(scale, 1e-9) * robot_m / board_m)) > _SAME_UNIT:
            continue
        if all(low <= length <= high for length, (low, high) in lengths):
            found.append((_unusual(reach * robot_m, distance * board_m), robot_unit, board_unit))
    if ("meters", "meters") in [pair[1:] for pair in found]:
        return (), 1.0, 1.0
    found.sort()
    if found and found[0][1] in _RARE:
        # A board of another size explains the same ratio.
        other = _unusual(reach, distance * scale) - found[0][0]
        if abs(other) < _CLEARLY:
            return None
        found = found if other > 0.0 else []
    if found and (len(found) == 1 or found[1][0] > found[0][0] + _CLEARLY):
        _, robot_unit, board_unit = found[0]
        named = [_unit_reading(*pair) for pair in (("robot", robot_unit), ("board", board_unit)) if pair[1] != "meters"]
        return tuple(named), UNITS[robot_unit], UNITS[board_unit]
    if found:
        return None
    if reading.name and abs(np.log(max(scale, 1e-9))) < _SAME_SIZE:
        return (), 1.0, 1.0
    if not reading.name and abs(np.log(max(scale, 1e-9))) > _SAME_SIZE and _REACH_M[0] < reach < _REACH_M[1]:
        words = f"The board is {scale:.3g} times as large as stated"
        fix = "measure a square with a caliper and state it; if the board is right, the focal length is wrong by that factor"
        return (Reading("board_scale", words, fix),), 1.0, scale
    return None


def _unusual(*lengths_m: float) -> float:
    return sum(abs(float(np.log(max(length, 1e-9) / _USUAL_M))) for length in lengths_m)


def _unit_reading(what: str, unit: str) -> Reading:
    how = f"multiply them by {UNITS[unit]:g}" if unit in ("inches", "feet") else f"divide them by {1.0 / UNITS[unit]:.0f}"
    code = f"{what}_{unit.replace('meters', 'metres')}"  # codes keep the spelling of 0.1
    if what == "robot":
        return Reading(code, f"The robot's positions are in {unit}", f"{how}: poses are in meters")
    return Reading(code, f"The board's lengths are in {unit}", f"{how}: state them in meters")


def _tried(data: HandEyeSet, reading: Reading, units: tuple[tuple[Reading, ...], float, float]) -> Repair | None:
    """Solve the repaired samples; None if they are not explained."""
    named, robot_m, board_m = units
    try:
        solution = solve(repaired(data, reading, robot_m, board_m))
    except (MolmoPointError, np.linalg.LinAlgError):
        return None
    noise = solution.noise
    good = noise.robot_m < _EXPLAINED_M and noise.robot_rad < _EXPLAINED_RAD
    if not good or solution.kept.mean() < _EXPLAINED_SHARE:
        return None
    return Repair((*([reading] if reading.name else []), *named), solution, board_m)


def repaired(data: HandEyeSet, reading: Reading, robot_unit_m: float = 1.0, board_unit_m: float = 1.0) -> HandEyeSet:
    """Return the samples as a reading has them, in meters.

    Raises:
        InputError: If the reading does not make samples.
    """
    if reading.uv is not None:
        data = data.with_points(reading.uv, data.points_board)
    elif reading.camera_T_board is not None:
        data = data.with_boards(reading.camera_T_board)
    robot = data.base_T_gripper if reading.base_T_gripper is None else reading.base_T_gripper
    if reading.images is not None and reading.robots is not None:
        data, robot = data.subset(reading.images), robot[reading.robots]
    data = data.with_robot(motion(robot[:, :3, :3], robot[:, :3, 3] * robot_unit_m), reading.setup)
    return data if board_unit_m == 1.0 else data.with_points(data.uv, data.points_board * board_unit_m)


def setup_readings(data: HandEyeSet) -> list[Reading]:
    """Read the samples as those of the other setup: the same equations as inverted robot poses.

    Only the sizes of the answers hint at which of the two it was.
    """
    hand = data.setup is Setup.EYE_IN_HAND
    here, there = ("eye in hand", "eye to hand") if hand else ("eye to hand", "eye in hand")
    other = data.setup.other
    swapped = Reading("setup_swapped", f"The data are {there}, not {here}", f"give the setup {other.value}", setup=other)
    words = f"The robot poses are inverted (gripper_T_base, not base_T_gripper); a setup other than {here} would look the same"
    fix = "give base_T_gripper, the pose of the gripper in the base frame"
    inverted = Reading("robot_inverted", words, fix, base_T_gripper=inverse(data.base_T_gripper))
    return (
        [inverted, swapped] if _camera_near_gripper(data.with_robot(data.base_T_gripper, other)) == hand else [swapped, inverted]
    )


def _camera_near_gripper(swapped: HandEyeSet) -> bool:
    """Test whether X of the swapped equations is short: a camera on a gripper is nearer than a fixed one."""
    x, w = robust_start(swapped)
    return bool(np.linalg.norm(x[:3, 3]) < np.linalg.norm(w[:3, 3]))


def _mixed(data: HandEyeSet) -> list[Reading]:
    """Read the samples with far larger positions than the others in a smaller unit."""
    reach = np.linalg.norm(data.base_T_gripper[:, :3, 3], axis=1)
    logs = np.sort(np.log(np.maximum(reach, 1e-9)))
    gaps = np.diff(logs)
    if not len(gaps) or gaps.max() < _LARGE_GAP:
        return []
    large = np.log(np.maximum(reach, 1e-9)) > logs[int(np.argmax(gaps))] + gaps.max() / 2.0
    names = tuple(name for name, far in zip(data.ids, large) if far)
    found = []
    for unit, factor in list(UNITS.items())[1:]:
        robot = data.base_T_gripper.copy()
        robot[large, :3, 3] *= factor
        words = f"The robot's positions of samples {', '.join(names)} are in {unit}, the others in meters"
        found.append(Reading("mixed_units", words, "give all positions in meters", base_T_gripper=robot, samples=names))
    return found


def _pairings(data: HandEyeSet) -> list[Reading]:
    """Pair each image with the robot pose before or after its own, from any sample on; or in the order of text."""
    n = len(data)
    if n <= MIN_SAMPLES:
        return []
    fix = "pair by id, and skip a robot pose whose image failed"
    found = []
    every = np.arange(n)
    for start in np.unique(np.linspace(0, n - 2, min(n - 1, _STARTS)).astype(int)):
        skipping = every[:-1], every[:-1] + (every[:-1] >= start)
        doubled = np.delete(every, start), every[:-1]
        for (images, robots), word in ((skipping, "next"), (doubled, "previous")):
            since = f" from sample {data.ids[start]} on" if start else ""
            words = f"Images and robot poses are shifted by one{since}: each image belongs to the {word} sample's pose"
            samples = data.ids[start:] if start else ()
            found.append(Reading("pairs_shifted", words, fix, images=images, robots=robots, samples=samples))
    words = "Images and robot poses are in different orders: {}"
    from_one, from_zero = (np.array(sorted(range(n), key=lambda i: str(i + first))) for first in (1, 0))
    for order, what in (
        (from_one, "the images' numbers were sorted as text (1, 10, 11, 2)"),
        (from_zero, "the images' numbers were sorted as text (0, 1, 10, 2)"),
        (every[::-1], "one of the two is reversed"),
    ):
        for images, robots in ((every, order), (order, every)):
            found.append(Reading("pairs_reordered", words.format(what), "pair by id", images=images, robots=robots))
    return found


def _half_turns(data: HandEyeSet) -> list[Reading]:
    """Turn some boards by half a turn, as the rotations of the robot ask for."""
    fix = "use a board that no turn maps onto itself (ChArUco, or columns + rows odd)"
    orders = point_orders(data.points_board, 2) if not data.from_poses else None
    boards, turns = half_turned(data.outer, data.poses.camera_T_board)
    names = tuple(name for name, turn in zip(data.ids, turns) if turn)
    if not names:
        return []
    words = f"The board's poses of samples {', '.join(names)} are turned by half a turn (180°) against the others"
    if orders is None:
        return [Reading("half_turns", words, fix, camera_T_board=boards, samples=names)] if data.from_poses else []
    uv = np.where(turns[:, None, None] > 0, data.uv[:, orders[1]], data.uv)
    seen = board_poses(data.points_board, uv, data.intrinsics).camera_T_board
    return [Reading("half_turns", words, fix, camera_T_board=seen, uv=uv, samples=names)]


def _mirrors(data: HandEyeSet) -> list[Reading]:
    """Undo a mirrored image: flip the pixels, and the order of the points along one axis of the board."""
    if data.from_poses:
        return []
    low, high = data.points_board.min(axis=0), data.points_board.max(axis=0)
    flipped = data.points_board * [1, -1, 1] + [0, low[1] + high[1], 0]
    gaps = np.linalg.norm(flipped[:, None] - data.points_board[None], axis=2)
    if gaps.min(axis=1).max() > 0.05 * np.ptp(data.points_board, axis=0).max():
        return []
    uv = data.uv[:, np.argmin(gaps, axis=1)].copy()
    uv[..., 0] = data.intrinsics.width - 1 - uv[..., 0]
    seen = board_poses(data.points_board, uv, data.intrinsics).camera_T_board
    words = "The images are mirrored (left and right are exchanged, or top and bottom)"
    fix = "turn off the mirroring of the camera driver, and record again"
    return [Reading("images_mirrored", words, fix, camera_T_board=seen, uv=uv)]
