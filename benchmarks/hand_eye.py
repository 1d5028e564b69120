"""Hand-eye solvers on synthetic sets with known truth, compared with the seven of OpenCV 4.x (OpenCV 5 has none).

In an environment of its own, since OpenCV below 5 is needed:

    python -m venv out/opencv4
    out/opencv4/bin/pip install numpy "opencv-python-headless==4.14.*"
    PYTHONPATH=. out/opencv4/bin/python -m benchmarks.hand_eye --sets 200 --out out/hand_eye.json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from molmo_point.geometry.rigid import angle_between, difference, inverse, motion
from molmo_point.hand_eye.covariance import stated_covariance
from molmo_point.hand_eye.samples import HandEyeSet, Setup
from molmo_point.hand_eye.solve import solve
from molmo_point.hand_eye.synthetic import Condition, synthetic_set

CONDITIONS = {
    "5 poses": Condition(count=5),
    "15 poses": Condition(),
    "25 poses": Condition(count=25),
    "15, tilt ≤ 8°, yaw ± 10°": Condition(tilt_deg=8.0, yaw_deg=10.0),
    "15, tilt ≤ 2°": Condition(tilt_deg=2.0),
    "15, one bad pose (15 mm, 1°)": Condition(bad=1),
    "15, robot noise 1 mm, 0.2°": Condition(robot_m=0.001, robot_deg=0.2),
}
HAND_EYE = ("TSAI", "PARK", "HORAUD", "ANDREFF", "DANIILIDIS")
ROBOT_WORLD = ("SHAH", "LI")
CHI2_6, NORMAL = 12.592, 1.95996


def board_poses(data: HandEyeSet) -> np.ndarray:
    """Find the pose of the board in each image as a user of OpenCV does."""
    poses = []
    for uv in data.uv:
        _, turn, shift = cv2.solvePnP(data.points_board, uv, data.intrinsics.matrix, None, flags=cv2.SOLVEPNP_ITERATIVE)
        poses.append(motion(np.asarray(cv2.Rodrigues(turn)[0], np.float64), np.ravel(np.asarray(shift, np.float64))))
    return np.array(poses)


def opencv_answers(data: HandEyeSet) -> dict[str, np.ndarray]:
    """Solve gripper_T_camera by each method of OpenCV; NaN if it raises."""
    boards, robot = board_poses(data), data.base_T_gripper
    back = inverse(robot)
    answers = {}
    for name in HAND_EYE:
        method = getattr(cv2, f"CALIB_HAND_EYE_{name}")
        answers[name] = _motion(cv2.calibrateHandEye, *_parts(robot), *_parts(boards), method=method)
    for name in ROBOT_WORLD:
        method = getattr(cv2, f"CALIB_ROBOT_WORLD_HAND_EYE_{name}")
        answers[name] = inverse(_motion(cv2.calibrateRobotWorldHandEye, *_parts(boards), *_parts(back), method=method))
    return answers


def _parts(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return poses[:, :3, :3], poses[:, :3, 3]


def _motion(solver: Callable[..., Any], *poses: np.ndarray, method: int) -> np.ndarray:
    """Pose (4, 4) of the last rotation and translation that a solver gives; NaN if it raises."""
    try:
        turn, shift = solver(*poses, method=method)[-2:]
        return motion(np.asarray(turn, float), np.ravel(shift).astype(float))
    except (cv2.error, np.linalg.LinAlgError):
        return np.full((4, 4), np.nan)


def errors(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Translation error in mm and rotation error in degrees; infinite without an answer."""
    if not np.isfinite(found).all():
        return np.inf, np.inf
    return float(np.linalg.norm(found[:3, 3] - truth[:3, 3]) * 1e3), float(
        np.rad2deg(angle_between(found[:3, :3], truth[:3, :3]))
    )


def run(condition: Condition, sets: int) -> dict:
    """Run all methods on the same sets: medians and 95 % of the errors, coverage of our intervals."""
    table: dict[str, list[tuple[float, float]]] = {}
    held, held6, seconds, wrong = [], [], [], 0
    for seed in range(sets):
        data, truth = synthetic_set(condition, seed, Setup.EYE_IN_HAND)
        start = time.perf_counter()
        solution = solve(data)
        covariance = stated_covariance(solution)[:6, :6]
        seconds.append(time.perf_counter() - start)
        change = difference(truth.x, solution.x)
        held.append(np.abs(change) < NORMAL * np.sqrt(np.diag(covariance)))
        held6.append(change @ np.linalg.solve(covariance, change) < CHI2_6)
        wrong += set(np.flatnonzero(~solution.kept)) != set(truth.bad)
        for name, answer in {"ours": solution.x, **opencv_answers(data)}.items():
            table.setdefault(name, []).append(errors(answer, truth.x))
    result = {
        name: {
            "translation_mm": [float(q) for q in np.percentile(np.array(rows)[:, 0], [50, 95], method="higher")],
            "rotation_deg": [float(q) for q in np.percentile(np.array(rows)[:, 1], [50, 95], method="higher")],
        }
        for name, rows in table.items()
    }
    coverage = {
        "per_axis": float(np.mean(held)),
        "translation": float(np.mean(np.array(held)[:, :3])),
        "rotation": float(np.mean(np.array(held)[:, 3:])),
        "all_six": float(np.mean(held6)),
    }
    return {
        "methods": result,
        "coverage_95": coverage,
        "sets_with_wrong_samples_dropped": int(wrong),
        "median_s": float(np.median(seconds)),
    }


def main() -> int:
    """Run every condition and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200, help="synthetic sets per condition (default 200)")
    parser.add_argument("--out", type=Path, help="write all figures as JSON")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="conditions whose title holds one of these words")
    options = parser.parse_args()
    if not hasattr(cv2, "calibrateHandEye"):
        print(f"OpenCV {cv2.__version__} has no hand-eye solvers; use 4.14", file=sys.stderr)
        return 1
    results = {}
    names = ("ours", *HAND_EYE, *ROBOT_WORLD)
    print("| condition |", " | ".join(names), "| 95 % interval holds |")
    print("|---|" + "---|" * (len(names) + 1))
    chosen = {title: c for title, c in CONDITIONS.items() if any(word in title for word in options.only)}
    for title, condition in chosen.items():
        found = run(condition, options.sets)
        results[title] = found
        cells = [
            "{:.2f} / {:.2f} mm<br>{:.2f} / {:.2f}°".format(
                *found["methods"][n]["translation_mm"], *found["methods"][n]["rotation_deg"]
            )
            for n in names
        ]
        print(f"| {title} |", " | ".join(cells), f"| {found['coverage_95']['per_axis']:.1%} |", flush=True)
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(
                json.dumps({"opencv": cv2.__version__, "sets": options.sets, "conditions": results}, indent=1) + "\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
