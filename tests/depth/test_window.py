"""The window that is cut around a point."""

import numpy as np

from molmo_point.depth.window import cut_window

from .surfaces import plane


def test_the_window_reaches_as_far_to_every_side() -> None:
    window = cut_window(plane(0.6), np.array([320.0, 240.0]), np.eye(2), 610.0, 0.1, 10.0)
    # 12 mm at 0.6 m are 12.2 pixels.
    assert window.z.shape == (25, 25) and window.center == (12, 12)
    for offsets in (window.du, window.dv):
        assert (offsets.min(), offsets.max()) == (-12.0, 12.0)
    at_the_corner = cut_window(plane(0.6), np.array([638.0, 1.0]), np.eye(2), 610.0, 0.1, 10.0)
    assert at_the_corner.z.shape == (14, 14) and at_the_corner.center == (1, 12)
