"""What a model says of its own answers beside what was true, on fresh simulated tables."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from lab.evaluation.answer_kinds import AskedQuestion
from molmo_point.evaluation.tabletop import nameable
from molmo_point.pointer import Pointer
from molmo_point.results import ImagePoint
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.tabletop.objects import COLORS, SHAPES
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.trust.confidence_calibration import UNCALIBRATED

NEAR_PX = 40.0
"""A point further off than this, in pixels of 640, is a gross miss: `confidence` reports those, not the spread."""


@dataclass
class Observations:
    """One entry per point or per question, each with the seed of its scene.

    Attributes:
        confidence: Uncalibrated confidence of the first point of each question about a thing that is there.
        hit: Whether that point lies on a visible pixel of the thing.
        point_scene: Scene of that point.
        absent: Uncalibrated probability of absence, for every question.
        is_absent: Whether the thing was absent.
        question_scene: Scene of the question.
        distance2: Squared Mahalanobis distance of the middle of the thing from the main mode, for
            points within `NEAR_PX` of it.
        offset_px: (u, v) from the middle of the thing to those points, pixels of an image 640 wide.
    """

    confidence: list[float] = field(default_factory=list)
    hit: list[bool] = field(default_factory=list)
    point_scene: list[int] = field(default_factory=list)
    absent: list[float] = field(default_factory=list)
    is_absent: list[bool] = field(default_factory=list)
    question_scene: list[int] = field(default_factory=list)
    distance2: list[float] = field(default_factory=list)
    offset_px: list[tuple[float, float]] = field(default_factory=list)


def observe(pointer: Pointer, scenes: int, first_seed: int, spread: bool = True) -> Observations:
    """Asks about every nameable thing and one absent thing in each scene; calibration is left out.

    Args:
        pointer: The model.
        scenes: Number of scenes.
        first_seed: Seed of the first scene; scene k has ``first_seed + k``.
        spread: Whether to follow the branches, too; needs a backend that can.
    """
    pointer, found = uncalibrated(pointer), Observations()
    for seed in tqdm(range(first_seed, first_seed + scenes), desc=f"scenes from {first_seed}", unit="scene"):
        rng = np.random.default_rng(seed)
        with TabletopScene.random(seed) as scene, SimulatedCamera(scene, seed=seed) as camera:
            frame, masks = camera.read(), scene.render_masks()
            for thing in nameable(scene.visible_objects()):
                pointing = pointer.point(frame, thing.item.name, spread=spread)
                _note_question(found, pointing.absent_probability, False, seed)
                if pointing.points:
                    mine = masks == scene.objects.index(thing.item)
                    _note_point(found, pointing.points[0], mine, thing.uv, seed)
            present = {item.name for item in scene.objects}
            names = [f"{color} {shape}" for color in COLORS for shape in SHAPES]
            absent = str(rng.choice([name for name in names if name not in present]))
            _note_question(found, pointer.point(frame, absent).absent_probability, True, seed)
    return found


class SceneQuestion(AskedQuestion, Protocol):
    """A question that says which scene it is about."""

    @property
    def scene(self) -> int:
        """Number of the scene."""
        ...


def observe_questions(pointer: Pointer, questions: Iterable[SceneQuestion], spread: bool = True) -> Observations:
    """Asks questions about any scenes; those that count are passed over, and calibration is left out.

    Where several things fit, a point on any of them is a hit, and the nearest one's middle is what it is held against.

    Args:
        pointer: The model.
        questions: With what is true.
        spread: Whether to follow the branches, too; needs a backend that can.
    """
    pointer, found = uncalibrated(pointer), Observations()
    for question in questions:
        if question.kind == "count":
            continue
        pointing = pointer.point(question.frame, question.phrase, spread=spread)
        _note_question(found, pointing.absent_probability, not question.targets, question.scene)
        if pointing.points and question.targets:
            point = pointing.points[0]
            nearest = int(np.argmin(np.hypot(*(question.middles_px - point.uv).T)))
            _note_point(found, point, np.isin(question.mask, question.targets), question.middles_px[nearest], question.scene)
    return found


def uncalibrated(pointer: Pointer) -> Pointer:
    """The same model, whose probabilities and spreads stay as it says them."""
    backend: Any = copy.copy(pointer.backend)
    backend.calibration = UNCALIBRATED
    return Pointer(backend)


def _note_question(found: Observations, absent_probability: float, is_absent: bool, seed: int) -> None:
    if np.isfinite(absent_probability):
        found.absent.append(absent_probability)
        found.is_absent.append(is_absent)
        found.question_scene.append(seed)


def _note_point(found: Observations, point: ImagePoint, mine: np.ndarray, middle: np.ndarray, seed: int) -> None:
    height, width = mine.shape
    row, column = (int(np.clip(round(a), 0, n - 1)) for a, n in ((point.v, height), (point.u, width)))
    if np.isfinite(point.confidence):
        found.confidence.append(point.confidence)
        found.hit.append(bool(mine[row, column]))
        found.point_scene.append(seed)
    offset = (point.uv - middle) * 640 / width
    if np.hypot(*offset) < NEAR_PX:
        found.offset_px.append((float(offset[0]), float(offset[1])))
        if point.modes:
            main = point.modes[0]
            apart = np.asarray(middle) - (main.u, main.v)
            found.distance2.append(float(apart @ np.linalg.solve(main.covariance_px2, apart)))
