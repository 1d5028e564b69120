"""Complete hand-eye calibration: solve, validate, diagnose, pass or fail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molmo_point.calibration.camera_fit import intrinsics_of_images
from molmo_point.calibration.intrinsics_refinement import IntrinsicsRefinement, refined_intrinsics
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.hand_eye.causes import Cause, gross_causes, likely_causes
from molmo_point.hand_eye.covariance import stated_covariance
from molmo_point.hand_eye.half_turns import point_orders, seen_turned, turned_boards
from molmo_point.hand_eye.joint import camera_poses
from molmo_point.hand_eye.next_pose import NextPose, next_pose
from molmo_point.hand_eye.readings import Reading, find_repair
from molmo_point.hand_eye.samples import HandEyeSet, Setup
from molmo_point.hand_eye.solve import Observability, Solution, observability, solve
from molmo_point.hand_eye.validation import Unseen, error_at, held_out, spread_between_methods
from molmo_point.plain_json import plain_json

DEFAULT_DISTANCE_M, DEFAULT_TOLERANCE_M = 0.5, 0.005
_FOLDS = 5
_MOST_TURNED_BACK = 0.2
_UNKNOWN_VARIANCE = 1e12
_FATAL = {
    "board_scale", "setup_swapped", "robot_inverted", "robot_millimetres", "robot_centimetres", "robot_inches",
    "robot_decimetres", "robot_feet", "board_millimetres", "board_centimetres", "board_inches", "board_decimetres", "board_feet",
    "mixed_units", "lengths_implausible", "degrees", "radians",
    "quaternion_order", "rotation_form", "rotation_inverted", "board_inverted", "pairs_shifted", "pairs_reordered",
    "repeated_image", "half_turns", "images_mirrored", "intrinsics", "board_moved", "camera_moved",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class HandEyeResult:
    """Hand-eye calibration with its validation.

    Attributes:
        camera: Calibrated transform with its covariance: gripper_T_camera (eye in hand) or base_T_camera (eye to hand).
        board: base_T_board (eye in hand) or gripper_T_board (eye to hand).
        solution: Solution of the solver.
        motion: Rotations of the arm.
        left_out: Errors on samples left out one at a time.
        folds: Errors on samples left out a fifth at a time.
        spread: Deviation of the other methods, in mm and degrees.
        causes: Likely mistakes.
        refinement: Intrinsics that the samples prefer; None for board poses.
        suggestion: Next pose to record; None if no pose would help.
        distance_m: Working distance of the task, in meters.
        tolerance_m: Error that the task accepts, in meters.
        error_m: 95 % quantile of the errors at the working distance, in meters.
        passed: True if the calibration meets the tolerance.
        reasons: Reasons against the calibration; empty if it passed.
        notes: Sentences on samples that were read otherwise.
    """

    camera: Transform
    board: Transform
    solution: Solution
    motion: Observability
    left_out: Unseen
    folds: Unseen
    spread: dict[str, tuple[float, float]]
    causes: tuple[Cause, ...]
    refinement: IntrinsicsRefinement | None
    suggestion: NextPose | None
    distance_m: float
    tolerance_m: float
    error_m: float
    passed: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def bad_samples(self) -> list[tuple[str, str]]:
        """List the id and the reason of every unused sample."""
        found = []
        for i in np.flatnonzero(~self.solution.kept):
            off = f"{self.left_out.distance_mm[i]:.1f} mm and {self.left_out.turn_deg[i]:.2f}° from the others' prediction"
            found.append((self.solution.data.ids[i], f"{off}, {self.solution.distance[i]:.0f} times the usual"))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain JSON."""
        solution, noise = self.solution, self.solution.noise
        values = {
            "passed": self.passed,
            "reasons": list(self.reasons),
            "setup": solution.data.setup.value,
            "transform": _transform_dict(self.camera),
            "board": _transform_dict(self.board),
            "error_95_mm": self.error_m * 1e3,
            "working_distance_m": self.distance_m,
            "tolerance_mm": self.tolerance_m * 1e3,
            "leave_one_out": self.left_out.summary(solution.kept),
            "held_out": self.folds.summary(solution.kept),
            "rms_px": solution.fit.rms_px(),
            "noise": {"pixel": noise.sigma_px, "robot_mm": noise.robot_m * 1e3, "robot_deg": float(np.rad2deg(noise.robot_rad))},
            "motion": {name: plain_json(getattr(self.motion, name)) for name in ("status", "spread_deg", "travel_m")},
            "method_spread": {name: {"mm": mm, "deg": deg} for name, (mm, deg) in self.spread.items()},
            "causes": plain_json(self.causes),
            "intrinsics_refinement": self.refinement and self.refinement.to_dict(),
            "bad_samples": [{"id": name, "reason": reason} for name, reason in self.bad_samples()],
            "samples": [
                {"id": i, "used": bool(k), "left_out_mm": float(mm), "left_out_deg": float(deg), "board_px": float(px)}
                for i, k, mm, deg, px in zip(
                    solution.data.ids,
                    solution.kept,
                    self.left_out.distance_mm,
                    self.left_out.turn_deg,
                    solution.data.poses.rms_px,
                )
            ],
            "next_pose": self.suggestion
            and {
                "base_T_gripper": self.suggestion.base_T_gripper.tolist(),
                "words": self.suggestion.words,
                "error_now_mm": self.suggestion.error_now_m * 1e3,
                "error_then_mm": self.suggestion.error_then_m * 1e3,
            },
        }
        return plain_json(values)


def calibrate_hand_eye(
    data: HandEyeSet,
    *,
    alternatives: Sequence[Reading] = (),
    frames: tuple[str, str, str] = ("base_link", "tool0", "camera_color_optical_frame"),
    distance_m: float = DEFAULT_DISTANCE_M,
    tolerance_m: float = DEFAULT_TOLERANCE_M,
    progress: Callable[[str], None] = lambda line: None,
) -> HandEyeResult:
    """Calibrate and validate.

    Args:
        data: Samples.
        alternatives: Other readings of the same samples, see `likely_causes`.
        frames: Frame names of base, gripper and camera.
        distance_m: Distance of the task's points from the camera, in meters.
        tolerance_m: Error that the task accepts at that distance, in meters.
        progress: Called with a line per step.

    Raises:
        InputError: If a distance or tolerance is not above zero, or no calibration fits the samples.
    """
    if not (np.isfinite(distance_m) and distance_m > 0 and np.isfinite(tolerance_m) and tolerance_m > 0):
        raise InputError("distance_m and tolerance_m must be above zero", f"{distance_m}, {tolerance_m}", "e.g. 0.5 and 0.005")
    try:
        solution = solve(data)
    except (np.linalg.LinAlgError, InputError) as error:
        raise _unsolvable(data, alternatives, error) from error
    solution, notes = _turned_back(solution)
    return replace(_calibrated(solution, alternatives, frames, distance_m, tolerance_m, progress), notes=notes)


def _turned_back(solution: Solution) -> tuple[Solution, tuple[str, ...]]:
    """Turn back the few boards that differ from the others by a half turn; with a sentence on what was turned."""
    data = solution.data
    predicted = camera_poses(data.setup, replace(solution.fit.model, robot=data.base_T_gripper))
    turns = np.where(solution.kept, 0, seen_turned(predicted, data.poses.camera_T_board))
    orders = None if data.from_poses else point_orders(data.points_board, 2)
    if not 0 < turns.sum() <= _MOST_TURNED_BACK * len(data) or (orders is None and not data.from_poses):
        return solution, ()
    try:
        if orders is None:
            turned = data.with_boards(turned_boards(data.outer, data.poses.camera_T_board, turns))
        else:
            turned = data.with_points(np.where(turns[:, None, None] > 0, data.uv[:, orders[1]], data.uv), data.points_board)
        again = solve(replace(turned, view_T_camera=data.view_T_camera))
    except (np.linalg.LinAlgError, InputError):
        return solution, ()
    if not again.kept[turns > 0].all() or again.kept.sum() <= solution.kept.sum():
        return solution, ()
    names = ", ".join(name for name, turn in zip(data.ids, turns) if turn)
    return again, (f"The board is turned by 180° in samples {names}; it was turned back, by the robot's poses",)


def _unsolvable(data: HandEyeSet, alternatives: Sequence[Reading], error: Exception) -> InputError:
    """Return the error of samples without a solution, with the mistake that explains it if one does."""
    repair = find_repair(data, alternatives)
    if repair is not None and (causes := gross_causes(repair, data)):
        return InputError("The samples must determine a calibration", causes[0].sentence, causes[0].fix)
    if isinstance(error, InputError):
        return error
    given = f"{len(data)} samples ({error})"
    return InputError("The samples must determine a calibration", given, "record again, with large rotations")


def _or_nan(values: Callable[[], Any], empty: Any) -> Any:
    """Compute figures of a calibration; `empty` where bad samples leave none. Its causes are reported all the same."""
    try:
        return values()
    except (np.linalg.LinAlgError, InputError):
        return empty


def _calibrated(
    solution: Solution,
    alternatives: Sequence[Reading],
    frames: tuple[str, str, str],
    distance_m: float,
    tolerance_m: float,
    progress: Callable[[str], None],
) -> HandEyeResult:
    data, n = solution.data, len(solution.data)
    motion = observability(data)
    progress("looking for likely mistakes")
    refinement = refined_intrinsics(solution)
    doubt = (refinement.camera, refinement.cause()) if refinement and refinement.significant else None
    causes = likely_causes(solution, motion, alternatives, lambda: intrinsics_of_images(data), doubt)
    progress("leaving samples out")
    unknown = Unseen(*np.full((3, n), np.nan))
    left_out, folds = (_or_nan(lambda f=folds: held_out(solution, f), unknown) for folds in (None, _FOLDS))
    progress("bootstrap")
    covariance = _or_nan(lambda: stated_covariance(solution), np.eye(12) * _UNKNOWN_VARIANCE)
    if not np.isfinite(covariance).all():
        covariance = np.eye(12) * _UNKNOWN_VARIANCE
    x = solution.x @ data.view_T_camera
    error_m = error_at(x, covariance[:6, :6], distance_m)
    reasons = _reasons(solution, motion, folds, causes, error_m, tolerance_m)
    base, gripper, camera = frames
    hand = data.setup is Setup.EYE_IN_HAND
    first, second = (gripper, base) if hand else (base, gripper)
    return HandEyeResult(
        Transform(first, camera, x[:3, :3], x[:3, 3], covariance[:6, :6]),
        Transform(second, "calibration_board", solution.w[:3, :3], solution.w[:3, 3], covariance[6:, 6:]),
        solution,
        motion,
        left_out,
        folds,
        _or_nan(lambda: spread_between_methods(solution), {}),
        causes,
        refinement,
        None if _FATAL & {cause.name for cause in causes} else _or_nan(lambda: next_pose(solution, distance_m), None),
        distance_m,
        tolerance_m,
        error_m,
        not reasons,
        tuple(reasons),
    )


def _reasons(
    solution: Solution, motion: Observability, folds: Unseen, causes: tuple[Cause, ...], error_m: float, tolerance_m: float
) -> list[str]:
    reasons = [cause.sentence for cause in causes if cause.name in _FATAL]
    if not error_m <= tolerance_m:
        reasons.append(f"the 95 % error is {error_m * 1e3:.1f} mm, more than the tolerance of {tolerance_m * 1e3:.1f} mm")
    unseen = folds.summary(solution.kept)["rms_mm"] * 1e-3
    if not unseen <= tolerance_m:
        reasons.append(f"the error on held-out samples is {unseen * 1e3:.1f} mm (root mean square), more than the tolerance")
    if motion.status == "blind":
        reasons.append(motion.sentence().rstrip("."))
    bad = int((~solution.kept).sum())
    if bad > 0.2 * len(solution.data):
        reasons.append(f"{bad} of {len(solution.data)} samples contradict the others")
    return reasons


def _transform_dict(transform: Transform) -> dict[str, Any]:
    assert transform.covariance is not None
    sigma = np.sqrt(np.diag(transform.covariance))
    return transform.to_dict() | {"sigma_mm": (sigma[:3] * 1e3).tolist(), "sigma_deg": np.rad2deg(sigma[3:]).tolist()}
