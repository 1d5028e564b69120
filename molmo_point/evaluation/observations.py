"""Probabilities and spreads that a model states, with the truth."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from molmo_point.evaluation.tabletop import NEAR_PX, absent_name, at_point, nameable
from molmo_point.pointer import Pointer
from molmo_point.results import ImagePoint, Pointing
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.trust.answer_model import AnswerFeatures
from molmo_point.trust.confidence_calibration import UNCALIBRATED


@dataclass(frozen=True)
class AnswerObservation:
    """One answer and its truth.

    Attributes:
        features: Features of the answer.
        has_points: True if it has points.
        right: True if every point is on an object that was meant, and about an absent object, if there is no point.
        absent: True if nothing in the picture was meant.
        scene: Number of the picture.
    """

    features: AnswerFeatures
    has_points: bool
    right: bool
    absent: bool
    scene: int


@dataclass
class Observations:
    """Rows for points and for questions, each with the seed of its scene.

    Attributes:
        answers: Answers to requests for points.
        counts: Answers to "how many"; right if the number is right.
        distance2: Squared Mahalanobis distance of the middle of the object from the main mode, for
            points within `NEAR_PX` of it.
        offset_px: (u, v) from the middle of the object to those points, pixels of an image 640 wide.
    """

    answers: list[AnswerObservation] = field(default_factory=list)
    counts: list[AnswerObservation] = field(default_factory=list)
    distance2: list[float] = field(default_factory=list)
    offset_px: list[tuple[float, float]] = field(default_factory=list)


def observe(pointer: Pointer, seeds: Iterable[int], spread: bool = True) -> Observations:
    """Ask about every nameable object and as many absent ones in the scene of each seed.

    With `spread` it also asks for the distribution of each point, which needs a backend that tells it.
    """
    pointer, found = uncalibrated(pointer), Observations()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        with TabletopScene.random(seed) as scene, SimulatedCamera(scene, seed=seed) as camera:
            frame, masks = camera.read(), scene.render_masks()
            for seen in nameable(scene.visible_objects()):
                mine = masks == scene.objects.index(seen.item)
                pointing = pointer.point(frame, seen.item.name, spread=spread)
                note_answer(found, pointing, mine, seed)
                if pointing.points:
                    note_offset(found, pointing.points[0], seen.uv, mine.shape[1])
                absent = pointer.point(frame, absent_name(scene, rng))
                note_answer(found, absent, np.zeros_like(mine), seed)
    return found


def uncalibrated(pointer: Pointer) -> Pointer:
    """Make a pointer to the same model whose spreads stay as the model states them."""
    backend: Any = copy.copy(pointer.backend)
    backend.calibration = UNCALIBRATED
    return Pointer(backend)


def note_answer(found: Observations, pointing: Pointing, right_mask: np.ndarray, scene: int) -> None:
    """Note an answer, with the mask (h, w) of everything that was meant; an empty mask means that nothing was."""
    on_it = [bool(at_point(right_mask, point)) for point in pointing.points]
    is_absent = not right_mask.any()
    right = not on_it if is_absent else bool(on_it) and all(on_it)
    found.answers.append(AnswerObservation(AnswerFeatures(**pointing.signals), bool(on_it), right, is_absent, scene))


def note_offset(found: Observations, point: ImagePoint, middle: np.ndarray, width: int) -> None:
    """Note the distance of a point from the pixel (2,) to point at, in an image of some width in pixels."""
    offset = (point.uv - middle) * 640 / width
    if np.hypot(*offset) < NEAR_PX:
        found.offset_px.append((float(offset[0]), float(offset[1])))
        if point.modes:
            main = point.modes[0]
            apart = np.asarray(middle) - (main.u, main.v)
            found.distance2.append(float(apart @ np.linalg.solve(main.covariance_px2, apart)))
