"""Pictures of tables: the same every time, all different, without a seam where noise makes them."""

import numpy as np

from lab.household.surfaces import STYLES, SURFACE_COUNT, smooth_noise, surface


def test_each_number_is_one_picture() -> None:
    pictures = [surface(k, 48) for k in range(SURFACE_COUNT)]
    assert all(p.shape == (48, 48, 3) and p.dtype == np.uint8 for p in pictures)
    assert len({p.tobytes() for p in pictures}) == SURFACE_COUNT
    np.testing.assert_array_equal(surface(17, 48), pictures[17])
    means = np.array([p.mean((0, 1)) for p in pictures])
    assert np.ptp(means, axis=0).min() > 100
    assert 4 * len(STYLES) <= SURFACE_COUNT


def test_noise_has_unit_spread_and_wraps_around() -> None:
    noise = smooth_noise(np.random.default_rng(0), 96, 6)
    assert abs(noise.std() - 1) < 1e-9
    inner, seam = np.abs(np.diff(noise, axis=0)).mean(), np.abs(noise[0] - noise[-1]).mean()
    assert seam < 1.5 * inner
