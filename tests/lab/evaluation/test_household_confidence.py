"""What is noted of answers to questions about any scene."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lab.evaluation.household_confidence import observe_questions
from molmo_point.backend import WholeAnswerBackend
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point.results import Completion
from molmo_point.trust.confidence_calibration import Calibration, line

MISLEADING = Calibration(line("digit", 1.0, 9.0), line("absent", 1.0, 9.0), None, 5.0)
BLACK = RgbdFrame(np.zeros((100, 100, 3), np.uint8), None, None, stamp_ns=1)


@dataclass
class Told(WholeAnswerBackend):
    """A backend that always says the same, and of whose calibration nothing may be seen."""

    text: str
    name: str = "told"
    calibration: Calibration = MISLEADING

    def answer(self, image, prompt, limits):
        return Completion(self.text, 9, "stop", absent_probability=0.25)


@dataclass(frozen=True)
class Question:
    """Two things of 20 pixels on a picture of 100."""

    kind: str
    targets: tuple[int, ...]
    scene: int = 7
    phrase: str = "the thing"
    frame: RgbdFrame = BLACK

    @property
    def mask(self) -> np.ndarray:
        mask = np.full((100, 100), -1, np.int16)
        mask[10:30, 10:30], mask[60:80, 60:80] = 0, 1
        return mask

    @property
    def middles_px(self) -> np.ndarray:
        return np.array([[19.5, 19.5], [69.5, 69.5]])[list(self.targets)].reshape(-1, 2)


def noted(text: str, *questions: Question):
    return observe_questions(Pointer(Told(text)), questions, spread=False)


def test_a_point_on_any_thing_that_fits_is_a_hit_and_held_against_the_nearest() -> None:
    found = noted('<point x="66" y="72" alt="a">a</point>', Question("name", (0, 1)), Question("name", (0,)))
    # 66 % of 100 pixels is pixel 65.5; of 640 pixels the offsets are 6.4 times as many.
    assert np.array(found.offset_px) == pytest.approx(np.array([(-4.0 * 6.4, 2.0 * 6.4)]))
    assert [(each.right, each.absent, each.scene) for each in found.answers] == [(True, False, 7), (False, False, 7)]


def test_absence_is_noted_without_calibration_and_counts_are_passed_over() -> None:
    found = noted("There are none.", Question("absent", ()), Question("count", (0,)), replace(Question("name", (1,)), scene=9))
    assert [(each.right, each.absent, each.scene) for each in found.answers] == [(True, True, 7), (False, False, 9)]
    assert [each.features.absent for each in found.answers] == pytest.approx([np.log(1 / 3)] * 2)
    assert found.offset_px == []
