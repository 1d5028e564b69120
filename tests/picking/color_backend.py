"""A pointer that knows colours and nothing else, and a picker with it."""

import numpy as np

from molmo_point.backend import WholeAnswerBackend
from molmo_point.picking.pick import Picker
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.pointer import Pointer
from molmo_point.results import Completion
from molmo_point.sim.camera import SimulatedCamera

CHANNEL = {"red": 0, "green": 1, "blue": 2}


class ColorBackend(WholeAnswerBackend):
    """Points at the middle of what has the named colour; says that nothing is there where there is none."""

    name = "colors"

    def __init__(self):
        self.asked = 0

    def answer(self, image, prompt, limits):
        self.asked += 1
        word = next((word for word in CHANNEL if word in prompt.text), None)
        picture = np.asarray(image, float)
        strongest = CHANNEL.get(word or "", 0)
        others = np.delete(picture, strongest, axis=2).max(axis=2)
        mask = picture[..., strongest] > 2.2 * others + 20
        if word is None or mask.sum() < 30:
            return Completion(" There are none.", 4, "stop")
        rows, columns = np.nonzero(mask)
        nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
        x, y = 100 * (columns[nearest] + 0.5) / mask.shape[1], 100 * (rows[nearest] + 0.5) / mask.shape[0]
        return Completion(f' <point x="{x:.1f}" y="{y:.1f}" alt="{word}">{word}</point>', 9, "stop")


def picker_for(arm, **settings):
    fixed, wrist = (SimulatedCamera(arm.view(name), seed=k, clock_ns=arm.now_ns) for k, name in enumerate(("fixed", "wrist")))
    # Nobody measured how often it is wrong.
    return Picker(Pointer(ColorBackend()), arm, fixed, wrist, PickSettings(accept_cautions=["UNCALIBRATED"], **settings))
