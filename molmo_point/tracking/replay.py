"""Carrying the points of a late answer from its frame to now, through the views that are kept."""

import itertools
from dataclasses import replace

import numpy as np

from molmo_point.tracking.follow import Followed, advance, stop
from molmo_point.tracking.history import Mark, Moment, mark_of
from molmo_point.tracking.track import LostReason, TrackState


def replay(items: list[Followed], moments: list[Moment], steps: int, max_gap_s: float, hold_s: float) -> list[list[Mark]]:
    """Follow points from the first moment to the last, in at most `steps` steps.

    Args:
        items: At the first moment; moved in place.
        moments: In the order of time.
        steps: With more moments than this, some are skipped.
        max_gap_s: Longest time between two moments to follow points over.
        hold_s: How long a point that is out of sight is looked for.

    Returns:
        For each point where it was at every moment, in between where moments were skipped.
    """
    stops = _stops(moments, steps, max_gap_s)
    paths = [[mark_of(item)] for item in items]
    for before, after in itertools.pairwise(stops):
        first, last = moments[before].view, moments[after].view
        if (last.stamp_ns - first.stamp_ns) * 1e-9 > max_gap_s:
            for item in items:
                if item.state is TrackState.TRACKED:
                    stop(item, LostReason.STREAM_GAP)
        advance(items, first, last, hold_s)
        for item, path in zip(items, paths, strict=True):
            start, end = path[-1], mark_of(item)
            for index in range(before + 1, after):
                share = (index - before) / (after - before)
                path.append(replace(end, uv=(1.0 - share) * start.uv + share * end.uv))
            path.append(end)
    return paths


def _stops(moments: list[Moment], steps: int, max_gap_s: float) -> list[int]:
    """Indices to stop at: evenly spread, first and last among them, no step longer than half the allowed gap."""
    last = len(moments) - 1
    length_s = (moments[-1].view.stamp_ns - moments[0].view.stamp_ns) * 1e-9
    count = min(last, max(steps, int(np.ceil(2.0 * length_s / max_gap_s))))
    return sorted({round(float(place)) for place in np.linspace(0, last, count + 1)})
