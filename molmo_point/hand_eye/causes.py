"""Diagnosis of a bad hand-eye calibration: each known mistake is reversed in turn, and the gain in likelihood decides.

Every hypothesis is a changed data set or a model with one more unknown. Its score is the log likelihood of the board poses
from the images; a sample may be an outlier. A cause is named if its reversal raises the score well beyond the chance gain
of its extra unknowns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.errors import MolmoPointError
from molmo_point.geometry.rigid import angle_between, difference, inverse, mean_motion
from molmo_point.hand_eye.closed_form import robust_start, shah_with_scale
from molmo_point.hand_eye.joint import Model, Noise, fit_joint, start_model
from molmo_point.hand_eye.noise import Linearized, estimate_noise, linearize
from molmo_point.hand_eye.samples import MIN_SAMPLES, HandEyeSet, Setup, hand_eye_set
from molmo_point.hand_eye.solve import Observability, Solution, solve

_OUTLIER_SHARE = 0.05
_OUTLIER = np.repeat([0.05**2, np.deg2rad(5.0) ** 2], 3)
_MIN_GAIN = 14.0
_GROSS_GAIN = 12.0  # per sample: an order of magnitude less noise in six numbers
_TIE = 0.5
_TRIAL_STEPS = 8
_GOOD_M, _GOOD_RAD = 0.002, float(np.deg2rad(0.3))
_BAD_INTRINSICS_PX = 1.5
_EXPLAINED_M = 0.01
_SEGMENT, _UNKNOWNS = 2, 6.0
_STALE_SIGMAS = 6.0
_STALE_FLOOR = np.repeat([0.001, np.deg2rad(0.2)], 3)


@dataclass(frozen=True)
class Cause:
    """Likely mistake in the data.

    Attributes:
        name: Fixed code for programs: "board_scale", "setup_swapped", ...
        sentence: Description of the mistake with its size.
        fix: Instruction to the user.
        gain: Increase of the log likelihood by its reversal; infinite if it was observed directly.
        samples: Ids of the affected samples; empty for all.
    """

    name: str
    sentence: str
    fix: str
    gain: float
    samples: tuple[str, ...] = ()


def _score_of(linear: Linearized, noise: Noise) -> float:
    """Compute the log likelihood of the poses from the images; a sample is an outlier with a probability of 5 %."""
    covariance = linear.covariances(noise)
    inlier = _log_normal(linear.error, covariance) + np.log(1.0 - _OUTLIER_SHARE)
    outlier = _log_normal(linear.error, covariance + np.diag(_OUTLIER)) + np.log(_OUTLIER_SHARE)
    return float(np.logaddexp(inlier, np.maximum(outlier, -60.0)).sum())


def _log_normal(error: FloatArray, covariance: FloatArray) -> FloatArray:
    squares = np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariance), error)
    return -0.5 * (squares + np.linalg.slogdet(covariance)[1] + 6.0 * np.log(2.0 * np.pi))


def likely_causes(
    solution: Solution, motion: Observability, alternatives: Mapping[str, HandEyeSet] | None = None
) -> tuple[Cause, ...]:
    """Find the mistakes that the data support, likeliest first; empty if there is none.

    Args:
        solution: Solution of the data as given.
        motion: Observability of the same data.
        alternatives: Other readings of the same samples, by name ("degrees", "quaternion_order", "board_inverted").
    """
    data = solution.data
    base = _score_of(solution.linear, solution.noise)
    poor = solution.noise.robot_m > _GOOD_M or solution.noise.robot_rad > _GOOD_RAD or (~solution.kept).sum() > 0.15 * len(data)
    trials = _units(data)
    if poor:
        trials += _other_readings(data, alternatives or {})
        if not _explained(trials, base, len(data)):
            trials += _shifted(data, base)
    if not _explained(trials, base, len(data)):
        trials += [*_scale(data, solution), *_moved(data, solution, "board"), *_moved(data, solution, "camera")]
    found = [replace(t, gain=t.gain - base) for t in trials if t.gain - base > _MIN_GAIN]
    found.sort(key=lambda cause: -cause.gain)
    # A cause with a much smaller gain than the best cause is a side effect of it.
    found = [cause for cause in found if cause.gain >= _TIE * found[0].gain and (cause is found[0] or _tied(cause, found[0]))]
    if not found or found[0].name == "board_scale":
        found += _stale(solution)
    return (*found, *_seen_directly(data, motion))


def _explained(trials: list[Cause], base: float, count: int) -> bool:
    """Test whether one of the gross mistakes explains the data, so that smaller mistakes need no test."""
    return any(trial.gain - base > _GROSS_GAIN * count for trial in trials)


def _tied(cause: Cause, best: Cause) -> bool:
    """Test whether the data cannot separate two causes."""
    return best.gain - cause.gain < 3.0 and {cause.name, best.name} == {"setup_swapped", "robot_inverted"}


def _trial(data: HandEyeSet, name: str, shift: float = 0.0, **values: str) -> list[Cause]:
    """Solve changed data; the gain of a trial is its log likelihood, from which the caller subtracts that of the data."""
    sentence, fix = _WORDS[name]
    try:
        solution = solve(data)
    except (MolmoPointError, np.linalg.LinAlgError):
        return []
    gain = _score_of(solution.linear, solution.noise) + shift
    return [Cause(name, sentence.format(**values), fix.format(**values), gain)]


def _scale(data: HandEyeSet, solution: Solution) -> list[Cause]:
    """Test the board's size as one more unknown."""
    factor = shah_with_scale(data.subset(solution.kept).outer, data.poses.camera_T_board[solution.kept])[2]
    if not 0.5 < factor < 2.0:
        return []
    model = replace(solution.fit.model, scale=1.0, free_scale=True)
    fits = []
    for start in (1.0, factor):
        first = start_model(data, solution.x, solution.w, scale=start, free_scale=True) if start != 1.0 else model
        noise, kept = solution.noise, solution.kept.astype(float)
        for _ in range(3):
            fit = fit_joint(data, first, noise, kept)
            linear = linearize(data, fit.model, noise.sigma_px)
            noise = estimate_noise(linear.subset(solution.kept), noise)
            first = fit.model
        score = _score_of(linear, noise) + 3.0 * len(data) * np.log(fit.model.scale)
        fits.append((score, first.scale))
    score, scale = max(fits, key=lambda fit: fit[0])
    percent = (scale - 1.0) * 100.0
    size = "larger" if percent > 0 else "smaller"
    fix = f"measure a square with a caliper and state it: {scale:.4f} times the present value; if the board is right, "
    return [
        Cause(
            "board_scale",
            f"The board is {abs(percent):.1f} % {size} than stated (printed at the wrong scale?)",
            fix + "the focal length is wrong by that factor",
            score,
        )
    ]


def _units(data: HandEyeSet) -> list[Cause]:
    """Test for millimeters instead of meters, in the robot's positions or the board's size."""
    factor = abs(shah_with_scale(data.outer, data.poses.camera_T_board)[2])
    trials = []
    reach = float(np.linalg.norm(data.base_T_gripper[:, :3, 3], axis=1).max())
    if 200.0 < factor < 5000.0 or reach > 50.0:
        robot = data.base_T_gripper.copy()
        robot[:, :3, 3] *= 1e-3
        trials += _trial(data.with_robot(robot), "robot_millimeters")
    if 0.0002 < factor < 0.005 or np.ptp(data.points_board, axis=0).max() > 20.0:
        smaller = hand_eye_set(data.setup, data.base_T_gripper, data.uv, data.points_board * 1e-3, data.intrinsics, data.ids)
        trials += _trial(smaller, "board_millimeters", 3.0 * len(data) * np.log(1e-3))
    return trials


def _other_readings(data: HandEyeSet, alternatives: Mapping[str, HandEyeSet]) -> list[Cause]:
    """Test the other setup, inverted robot poses, and the alternatives of the file reader."""
    hand = data.setup is Setup.EYE_IN_HAND
    here, there = ("eye in hand", "eye to hand") if hand else ("eye to hand", "eye in hand")
    swapped = data.with_robot(data.base_T_gripper, data.setup.other)
    trials = _trial(swapped, "setup_swapped", here=here, there=there, other=data.setup.other.value)
    if trials:
        # The same equations: only the sizes of the answers hint at which of the two it was.
        gain = trials[0].gain + (1.0 if _camera_near_gripper(swapped) == hand else -1.0)
        sentence, fix = _WORDS["robot_inverted"]
        trials.append(Cause("robot_inverted", sentence.format(here=here), fix, gain))
    return trials + [cause for name in _ALTERNATIVES if name in alternatives for cause in _trial(alternatives[name], name)]


_ALTERNATIVES = ("degrees", "radians", "quaternion_order", "board_inverted")
_WORDS = {
    "robot_millimeters": ("The robot's positions are in millimeters", "divide them by 1000: poses are in meters"),
    "board_millimeters": ("The board's size is in millimeters", "state it in meters"),
    "setup_swapped": ("The data are {there}, not {here}", "give the setup {other}"),
    "robot_inverted": (
        "The robot poses are inverted (gripper_T_base, not base_T_gripper); a setup other than {here} would look the same",
        "give base_T_gripper, the pose of the gripper in the base frame",
    ),
    "pairs_shifted": (
        "Images and robot poses are shifted by one: each image belongs to the {word} sample's pose",
        "pair by id, and skip a robot pose whose image failed",
    ),
    "degrees": ("The robot's angles are in degrees where radians were stated", "state the unit: rpy_deg or rotation_vector_deg"),
    "radians": ("The robot's angles are in radians where degrees were stated", "state the unit: rpy_rad or rotation_vector_rad"),
    "quaternion_order": ("The quaternions are in the order w, x, y, z", "write them as x, y, z, w"),
    "board_inverted": (
        "The board poses are inverted (board_T_camera)",
        "give camera_T_board, the pose of the board in the camera frame",
    ),
}


def _camera_near_gripper(swapped: HandEyeSet) -> bool:
    """Test whether X of the swapped equations is short: a camera on a gripper is nearer than a fixed one."""
    x, w = robust_start(swapped)
    return bool(np.linalg.norm(x[:3, 3]) < np.linalg.norm(w[:3, 3]))


def _shifted(data: HandEyeSet, base: float) -> list[Cause]:
    """Test pairs of each image with the robot pose before or after its own."""
    n = len(data)
    if n <= MIN_SAMPLES:
        return []
    trials = []
    for step, word in ((1, "next"), (-1, "previous")):
        images = np.arange(n - 1) + (0 if step > 0 else 1)
        moved = data.subset(images).with_robot(data.base_T_gripper[images + step])
        trials += _trial(moved, "pairs_shifted", base / n, word=word)
    return trials


def _moved(data: HandEyeSet, solution: Solution, what: str) -> list[Cause]:
    """Test a displacement of the board (or the camera) between two samples: one more transform for the later samples."""
    n = len(data)
    splits = []
    for cut in range(_SEGMENT, n - _SEGMENT + 1):
        late = np.arange(n) >= cut
        try:
            score, model = _split_score(data, solution, late, what)
        except np.linalg.LinAlgError:
            continue
        splits.append((score - _UNKNOWNS, cut, model))
    if not splits:
        return []
    score, cut, model = max(splits, key=lambda split: split[0])
    pair = model.w if what == "board" else model.x
    shift = float(np.linalg.norm(pair[1, :3, 3] - pair[0, :3, 3]) * 1e3)
    turn = float(np.rad2deg(angle_between(pair[1, :3, :3], pair[0, :3, :3])))
    after = f"between samples {data.ids[cut - 1]} and {data.ids[cut]}, by {shift:.1f} mm and {turn:.2f}°"
    if what == "board":
        words = f"The board moved {after}", "fix the board rigidly and record again, or use the samples of one side only"
    else:
        words = f"The camera moved on its mount {after}", "fasten the camera and record again"
    return [Cause(f"{what}_moved", *words, score, data.ids[cut:])]


def _split_score(data: HandEyeSet, solution: Solution, late: BoolArray, what: str) -> tuple[float, Model]:
    larger = late if late.sum() > len(late) / 2 else ~late
    x, w = robust_start(data.subset(larger))
    other = data.subset(~larger)
    if what == "board":
        closed = other.outer @ x @ other.poses.camera_T_board
        second = mean_motion(closed)
        pair = np.stack([second, w] if larger is late else [w, second])
        model = start_model(data, x, pair, board_of=late.astype(int))
    else:
        second = mean_motion(inverse(other.outer) @ w @ inverse(other.poses.camera_T_board))
        pair = np.stack([second, x] if larger is late else [x, second])
        model = start_model(data, pair, w, camera_of=late.astype(int))
    noise = solution.noise
    for _ in range(2):
        fit = fit_joint(data, model, noise, iterations=_TRIAL_STEPS)
        linear = linearize(data, fit.model, noise.sigma_px)
        noise = estimate_noise(linear, noise)
        model = fit.model
    if noise.robot_m > _EXPLAINED_M:
        # Two transforms fit garbage slightly better than one, and explain nothing.
        return -np.inf, fit.model
    return _score_of(linear, noise), fit.model


def _seen_directly(data: HandEyeSet, motion: Observability) -> list[Cause]:
    causes = []
    if motion.status != "good":
        words = motion.sentence().rstrip("."), "tilt the view by 20 to 30 degrees in all directions"
        causes.append(Cause("little_rotation", *words, float("inf")))
    rms = float(np.median(data.poses.rms_px))
    if rms > _BAD_INTRINSICS_PX:
        words = (
            f"The board does not fit single images: error {rms:.1f} px within one image",
            "check the intrinsics (image size, distortion) and the board's numbers of squares",
        )
        causes.append(Cause("intrinsics", *words, float("inf")))
    return causes


def _stale(solution: Solution) -> list[Cause]:
    """Find dropped samples whose reported pose is that of another sample, or lies on the way from the previous sample."""
    data = solution.data
    really = start_model(data, solution.x, solution.w).robot
    sigma = np.repeat([solution.noise.robot_m, solution.noise.robot_rad], 3)
    unit = _STALE_SIGMAS * np.maximum(sigma, _STALE_FLOOR / 3.0)
    fix = "take image and pose at one time, with the arm at rest, matched by their stamps"
    found: list[Cause] = []
    for i in np.flatnonzero(~solution.kept):
        reported, words = data.base_T_gripper[i], ""
        near = [
            j
            for j in range(len(data))
            if j != i and np.all(np.abs(difference(really[j], reported)) < unit + _uncertainty(j, solution))
        ]
        if near:
            j = min(near, key=lambda k: (abs(k - i), k > i))
            when = "the one before" if j == i - 1 else "the one after" if j == i + 1 else "another"
            words = f"that of sample {data.ids[j]} ({when})"
        elif i > 0:
            share = _share_of_way(really[i - 1], really[i], reported, unit)
            if share is not None:
                words = f"late: the arm had covered {share:.0%} of its way from sample {data.ids[i - 1]}"
        if words:
            sentence = f"The robot pose of sample {data.ids[i]} is {words}"
            found.append(Cause("stale_pose", sentence, fix, float("inf"), (data.ids[i],)))
    return found


def _uncertainty(j: int, solution: Solution) -> FloatArray:
    """Return the uncertainty (6,) of the arm's pose from the image of a sample, in meters and radians."""
    image = solution.linear.image[j]
    return 3.0 * np.repeat([np.sqrt(np.trace(image[:3, :3])), np.sqrt(np.trace(image[3:, 3:]))], 3)


def _share_of_way(start: FloatArray, end: FloatArray, reported: FloatArray, unit: FloatArray) -> float | None:
    """Return the share, 0 to 1, of the way from start to end at which a pose lies; None if it is not on the way."""
    way, done = difference(end, start) / unit, difference(reported, start) / unit
    length = float(way @ way)
    if length < 100.0:
        return None
    share = float(done @ way) / length
    # The way need not be straight: deviations up to a tenth of its length are accepted.
    off = float(np.linalg.norm(done - share * way))
    return share if 0.0 <= share < 0.97 and off < 2.5 + 0.05 * np.sqrt(length) else None
