"""Diagnosis of a bad hand-eye calibration: each known mistake is reversed in turn.

Gross mistakes are other readings of the samples, see `readings`. The others are models with one more unknown. Their score
is the log likelihood of the board poses from the images; a sample may be an outlier. A cause is named if its reversal
raises the score well beyond the chance gain of its extra unknowns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.errors import MolmoPointError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import angle_between, difference, inverse, mean_motion
from molmo_point.hand_eye.closed_form import robust_start, shah_with_scale
from molmo_point.hand_eye.joint import Model, Noise, fit_joint, start_model
from molmo_point.hand_eye.noise import Linearized, estimate_noise, linearize
from molmo_point.hand_eye.readings import Reading, Repair, find_repair, setup_readings
from molmo_point.hand_eye.samples import HandEyeSet
from molmo_point.hand_eye.solve import Observability, Solution, observability, solve

_OUTLIER_SHARE = 0.05
_OUTLIER = np.repeat([0.05**2, np.deg2rad(5.0) ** 2], 3)
_MIN_GAIN = 14.0
_TIE = 0.5
_MORE_UNKNOWNS = 8.0  # of six parameters of a camera, by the Bayesian information criterion for 15 samples
_TRIAL_STEPS = 8
_GOOD_M, _GOOD_RAD = 0.002, float(np.deg2rad(0.3))
_BAD_INTRINSICS_PX = 1.5
_EXPLAINED_M = 0.01
_SEGMENT, _UNKNOWNS = 2, 6.0
_POSE_SEGMENT, _POSE_UNKNOWNS = 4, 12.0  # board poses do not tell which image was poor
_LARGEST_M = 12.0
_SAME_VIEW, _SAME_IMAGE_PX = 1e-6, 0.01
_ARM_MOVED = np.repeat([0.003, np.deg2rad(0.5)], 3)
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
    solution: Solution,
    motion: Observability,
    readings: Sequence[Reading] = (),
    refit: Callable[[], Intrinsics | None] = lambda: None,
    refined: tuple[Intrinsics, Cause] | None = None,
) -> tuple[Cause, ...]:
    """Find the mistakes that the data support, likeliest first; empty if there is none.

    Args:
        solution: Solution of the data as given.
        motion: Observability of the same data.
        readings: Other readings of the same samples.
        refit: Returns intrinsics from the images of the samples, if they contradict those given.
        refined: Intrinsics refined with the solution, if they contradict those given, with the cause to name then.
    """
    data = solution.data
    repeated = _repeated(data)
    if repeated:
        return (*repeated, *_seen_directly(data, motion))
    poor = solution.noise.robot_m > _GOOD_M or solution.noise.robot_rad > _GOOD_RAD or (~solution.kept).sum() > 0.15 * len(data)
    base = _score_of(solution.linear, solution.noise)
    repair = find_repair(data, readings, poor)
    if repair is not None:
        # A focal length that is wrong by a factor looks like a board of another size.
        lens = _intrinsics(data, base, [], refit()) if repair.readings[:1] and repair.readings[0].name == "board_scale" else []
        return (*lens, *_seen_directly(data, motion)) if lens else gross_causes(repair, data, base)
    trials = [*_scale(data, solution), *_moved(data, solution, "board"), *_moved(data, solution, "camera")]
    found = [replace(t, gain=t.gain - base) for t in trials if t.gain - base > _MIN_GAIN]
    found.sort(key=lambda cause: -cause.gain)
    rivals = max((t.gain - base for t in trials), default=0.0)
    found = _intrinsics(data, base, found, refit()) or _with_refined(found[:1], rivals, _refined(data, base, refined))
    if not found or found[0].name == "board_scale":
        found += _stale(solution)
    return (*found, *_seen_directly(data, motion))


def gross_causes(repair: Repair, data: HandEyeSet, base: float = -np.inf) -> tuple[Cause, ...]:
    """Name the mistakes that a repair undoes.

    Args:
        repair: Reading that explains the data.
        data: Samples as given.
        base: Log likelihood of the samples as given.
    """
    fixed = repair.solution
    # A subset of the samples counts as all of them; lengths of the board change the unit of the density.
    score = _score_of(fixed.linear, fixed.noise) * len(data) / len(fixed.data) + 3.0 * len(data) * np.log(repair.board_unit)
    readings = list(repair.readings)
    twins = setup_readings(data)
    if any(reading.name in [twin.name for twin in twins] for reading in readings):
        readings = twins + [reading for reading in readings if reading.name not in [twin.name for twin in twins]]
    causes = [Cause(r.name, r.sentence, r.fix, score - base - rank, r.samples) for rank, r in enumerate(readings)]
    return (*causes, *(cause for cause in _seen_directly(fixed.data, observability(fixed.data)) if cause.name != "intrinsics"))


def _intrinsics(data: HandEyeSet, base: float, others: list[Cause], refitted: Intrinsics | None) -> list[Cause]:
    """Test intrinsics from the images of the samples, where they contradict the given ones."""
    if refitted is None:
        return []
    try:
        solution = solve(data.with_points(data.uv, data.points_board, refitted))
    except (MolmoPointError, np.linalg.LinAlgError):
        return []
    gain = _score_of(solution.linear, solution.noise) - base
    if gain < _MIN_GAIN or (others and gain < _TIE * others[0].gain):
        return []
    given = data.intrinsics
    words = (
        f"The intrinsics do not fit the images: focal length {given.focal_px:.0f} px given, {refitted.focal_px:.0f} px by the "
        f"images; principal point ({given.cx:.0f}, {given.cy:.0f}) given, ({refitted.cx:.0f}, {refitted.cy:.0f}) by the images"
    )
    fix = "give the intrinsics of this stream and image size, or run `molmo-point calibrate intrinsics`"
    return [Cause("intrinsics", words, fix, gain)]


def _with_refined(found: list[Cause], rivals: float, lens: Cause | None) -> list[Cause]:
    """Join the intrinsics to the causes: alone if they explain more than all else, second if it is close."""
    if lens is None or lens.gain <= rivals:
        return found
    surely = lens.gain - _MORE_UNKNOWNS > max(rivals, 0.0)
    return [lens] if surely else [*found, lens] if found else []


def _refined(data: HandEyeSet, base: float, refined: tuple[Intrinsics, Cause] | None) -> Cause | None:
    """Measure the gain of intrinsics refined with all samples."""
    if refined is None:
        return None
    try:
        solution = solve(data.with_points(data.uv, data.points_board, refined[0]))
    except (MolmoPointError, np.linalg.LinAlgError):
        return None
    return replace(refined[1], gain=_score_of(solution.linear, solution.noise) - base)


def _scale(data: HandEyeSet, solution: Solution) -> list[Cause]:
    """Test the board's size as one more unknown."""
    factor = shah_with_scale(data.subset(solution.kept).outer, data.poses.camera_T_board[solution.kept])[2]
    if not 0.4 < factor < 2.5:
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


def _moved(data: HandEyeSet, solution: Solution, what: str) -> list[Cause]:
    """Test a displacement of the board (or the camera) between two samples: one more transform for the later samples."""
    n = len(data)
    splits = []
    segment = _POSE_SEGMENT if data.from_poses else _SEGMENT
    for cut in range(segment, n - segment + 1):
        late = np.arange(n) >= cut
        try:
            score, model = _split_score(data, solution, late, what)
        except np.linalg.LinAlgError:
            continue
        splits.append((score - (_POSE_UNKNOWNS if data.from_poses else _UNKNOWNS), cut, model))
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


def _repeated(data: HandEyeSet) -> list[Cause]:
    """Find samples with one and the same image though the arm has moved: a copied file, or a frozen camera."""
    if data.from_poses:
        views, moved_view = data.poses.camera_T_board, _SAME_VIEW * np.repeat([1.0, 1.0], 3)
        gap = np.abs(difference(views[:, None], views[None])) / moved_view
        same = gap.max(axis=-1) < 1.0
    else:
        gap = np.abs(data.uv[:, None] - data.uv[None])
        both = np.isfinite(gap).all(axis=-1)
        apart = np.where(both[..., None], gap, 0.0).max(axis=(2, 3))
        same = (apart < _SAME_IMAGE_PX) & (both == np.isfinite(data.uv[:, None, :, 0])).all(axis=-1)
    robot = np.abs(difference(data.base_T_gripper[:, None], data.base_T_gripper[None]))
    arm_moved = (robot > _ARM_MOVED).any(axis=-1)
    pairs = np.argwhere(np.triu(same & arm_moved, 1))
    if not len(pairs):
        return []
    names = tuple(data.ids[i] for i in np.unique(pairs))
    sentence = f"The images of samples {', '.join(names)} are the same though the arm moved (a copied file, or a frozen camera)"
    return [
        Cause("repeated_image", sentence, "record these samples again, one new image for each robot pose", float("inf"), names)
    ]


def _seen_directly(data: HandEyeSet, motion: Observability) -> list[Cause]:
    causes: list[Cause] = []
    reach = float(np.median(np.linalg.norm(data.base_T_gripper[:, :3, 3], axis=1)))
    distance = float(np.median(np.linalg.norm(data.poses.camera_T_board[:, :3, 3], axis=1)))
    if reach > _LARGEST_M or distance > _LARGEST_M:
        sentence = (
            f"Lengths are not in meters: the gripper is {reach:.3g} m from the base, the board {distance:.3g} m from the camera"
        )
        causes.append(Cause("lengths_implausible", sentence, "give all lengths in meters", float("inf")))
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
