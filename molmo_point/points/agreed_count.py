"""One count from the counts of several images."""

from collections import Counter
from collections.abc import Sequence


def agreed_count(counts: Sequence[int]) -> tuple[int, float]:
    """Return the most frequent count, and the share of the images that have it.

    Of equally frequent counts the nearest to the median is taken, of two equally near ones the lower.

    Args:
        counts: One for each image, at least one.
    """
    frequencies = Counter(counts)
    most = max(frequencies.values())
    ordered = sorted(counts)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    best = min((count for count, times in frequencies.items() if times == most), key=lambda count: (abs(count - median), count))
    return best, most / len(counts)
