"""What every source of a tuning run hands on."""

from dataclasses import dataclass

import numpy as np

from molmo_point.finetuning.labels.wording import LabelledExample


@dataclass(frozen=True)
class Asked:
    """An image, (h, w, 3) uint8, with questions about it."""

    pixels: np.ndarray
    examples: list[LabelledExample]
