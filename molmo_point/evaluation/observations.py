"""Probabilities and spreads that a model states, with the truth."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from molmo_point.evaluation.tabletop import NEAR_PX, absent_name, at_point, nameable
from molmo_point.pointer import Pointer
from molmo_point.results import ImagePoint
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.trust.confidence_calibration import UNCALIBRATED


@dataclass
class Observations:
    """Rows for points and for questions, each with the seed of its scene.

    Attributes:
        points: Digit probability of the first point of each question about a visible object, True if that
            point lies on a visible pixel of the object, and the scene.
        questions: Uncalibrated probability of absence for every question, True if the object was absent, and the scene.
        distance2: Squared Mahalanobis distance of the middle of the object from the main mode, for
            points within `NEAR_PX` of it.
        offset_px: (u, v) from the middle of the object to those points, pixels of an image 640 wide.
    """

    points: list[tuple[float, bool, int]] = field(default_factory=list)
    questions: list[tuple[float, bool, int]] = field(default_factory=list)
    distance2: list[float] = field(default_factory=list)
    offset_px: list[tuple[float, float]] = field(default_factory=list)


def observe(pointer: Pointer, seeds: Iterable[int], spread: bool = True) -> Observations:
    """Ask about every nameable object and one absent object in the scene of each seed, without calibration.

    With `spread` it also asks for the distribution of each point, which needs a backend that tells it.
    """
    pointer, found = uncalibrated(pointer), Observations()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        with TabletopScene.random(seed) as scene, SimulatedCamera(scene, seed=seed) as camera:
            frame, masks = camera.read(), scene.render_masks()
            for seen in nameable(scene.visible_objects()):
                pointing = pointer.point(frame, seen.item.name, spread=spread)
                note_question(found, pointing.denial_probability, False, seed)
                if pointing.points:
                    mine = masks == scene.objects.index(seen.item)
                    note_point(found, pointing.points[0], mine, seen.uv, seed)
            note_question(found, pointer.point(frame, absent_name(scene, rng)).denial_probability, True, seed)
    return found


def uncalibrated(pointer: Pointer) -> Pointer:
    """Make a pointer to the same model whose probabilities and spreads stay as the model states them."""
    backend: Any = copy.copy(pointer.backend)
    backend.calibration = UNCALIBRATED
    return Pointer(backend)


def note_question(found: Observations, absent_probability: float, is_absent: bool, seed: int) -> None:
    """Note a question; without a probability of absence it is left out."""
    if np.isfinite(absent_probability):
        found.questions.append((absent_probability, is_absent, seed))


def note_point(found: Observations, point: ImagePoint, mine: np.ndarray, middle: np.ndarray, seed: int) -> None:
    """Note a point, with the mask (h, w) of the objects that fit and the pixel (2,) to point at."""
    if np.isfinite(point.digit_probability):
        found.points.append((point.digit_probability, bool(at_point(mine, point)), seed))
    offset = (point.uv - middle) * 640 / mine.shape[1]
    if np.hypot(*offset) < NEAR_PX:
        found.offset_px.append((float(offset[0]), float(offset[1])))
        if point.modes:
            main = point.modes[0]
            apart = np.asarray(middle) - (main.u, main.v)
            found.distance2.append(float(apart @ np.linalg.solve(main.covariance_px2, apart)))
