"""The count that several images agree on."""

import pytest

from molmo_point.points.agreed_count import agreed_count


@pytest.mark.parametrize(
    ("counts", "count", "share"),
    [
        ([3], 3, 1.0),
        ([3, 3, 4], 3, 2 / 3),
        ([5, 4, 5, 4, 9], 5, 2 / 5),
        ([1, 2, 3], 2, 1 / 3),
        ([4, 2], 2, 0.5),
        ([0, 0, 0], 0, 1.0),
    ],
)
def test_the_most_frequent_then_the_middle_one(counts, count, share):
    assert agreed_count(counts) == (count, pytest.approx(share))
    assert agreed_count(counts[::-1]) == (count, pytest.approx(share))
