"""A shown view is checked once, where it is made."""

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.model.taught.shown_view import ShownView

COLOR = np.zeros((8, 10, 3), np.uint8)
MASK = np.ones((8, 10), bool)


@pytest.mark.parametrize(
    ("color", "mask", "ignored", "named"),
    [
        (COLOR[..., 0], MASK, None, "color"),
        (COLOR.astype(np.float32), MASK, None, "color"),
        (COLOR, MASK[:4], None, "mask"),
        (COLOR, MASK.astype(np.uint8), None, "mask"),
        (COLOR, ~MASK, None, "mask"),
        (COLOR, MASK, MASK[:, :3], "ignored"),
    ],
)
def test_wrong_arrays_are_refused_by_name(color, mask, ignored, named):
    with pytest.raises(InputError, match=f"^.?{named} must"):
        ShownView(color, mask, ignored)
