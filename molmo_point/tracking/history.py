"""The last seconds of a tracker, and the replay of a late answer through them."""

import itertools
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.tracking.follow import advance
from molmo_point.tracking.followed import Followed
from molmo_point.tracking.track import TrackState
from molmo_point.tracking.tracked_view import TrackedView


@dataclass(frozen=True, eq=False)
class TrackMark:
    """State of a track in one view.

    Attributes:
        uv: (2,) pixel.
        covariance_px2: (2, 2) covariance of the pixel.
        total: (2, 2) scale and rotation since the start of the track.
        state: State of the track.
    """

    uv: FloatArray
    covariance_px2: FloatArray
    total: FloatArray
    state: TrackState


@dataclass(frozen=True, eq=False)
class Moment:
    """A view, and the marks of its tracks by track id."""

    view: TrackedView
    marks: dict[int, TrackMark] = field(default_factory=dict)


def mark_of(item: Followed) -> TrackMark:
    """Record the current state of a point."""
    return TrackMark(item.uv.copy(), item.covariance_px2, item.total, item.state)


class History:
    """Moments in order of time, none older than a limit.

    Args:
        length_s: Age limit in seconds, relative to the newest view.
    """

    def __init__(self, length_s: float) -> None:
        self._length_ns = round(length_s * 1e9)
        self._moments: deque[Moment] = deque()

    @property
    def last(self) -> Moment | None:
        """The newest moment; None before the first."""
        return self._moments[-1] if self._moments else None

    def add(self, view: TrackedView) -> Moment:
        """Append a view and drop the moments that are too old."""
        moment = Moment(view)
        self._moments.append(moment)
        while view.stamp_ns - self._moments[0].view.stamp_ns > self._length_ns:
            self._moments.popleft()
        return moment

    def copy(self) -> "History":
        """Copy the history; the views are shared, the marks are not."""
        other = History(self._length_ns * 1e-9)
        other._moments.extend(Moment(moment.view, dict(moment.marks)) for moment in self._moments)
        return other

    def clear(self) -> None:
        """Drop all moments."""
        self._moments.clear()

    def since(self, stamp_ns: int) -> list[Moment]:
        """List all moments from the one with this stamp on.

        Raises:
            InputError: No frame with this stamp is kept.
        """
        moments = list(self._moments)
        stamps = [moment.view.stamp_ns for moment in moments]
        if stamp_ns in stamps:
            return moments[stamps.index(stamp_ns) :]
        if not moments:
            raise InputError("The tracker has seen no frame yet", f"stamp_ns={stamp_ns}", "call update(frame) first")
        first, last = stamps[0], stamps[-1]
        if stamp_ns < first:
            raise InputError(
                "stamp_ns must not be older than the frames that are kept",
                f"stamp_ns={stamp_ns}, {(last - stamp_ns) * 1e-9:.2f} s before the newest frame",
                "give PointTracker a longer history_s, or ask about a newer frame",
            )
        raise InputError(
            "stamp_ns must be the stamp of a frame that the tracker has seen",
            f"stamp_ns={stamp_ns}, frames from {first} to {last}",
            "pass every frame that the model is asked about to update() before its answer",
        )


def replay(items: list[Followed], moments: list[Moment], steps: int, max_gap_s: float, hold_s: float) -> list[list[TrackMark]]:
    """Follow points, in place, from the first moment to the last, in about `steps` steps.

    Further moments are skipped, unless points must not be followed over so long a time.

    Returns:
        One mark per moment for each point, interpolated at skipped moments.
    """
    stops = _stops(moments, steps, max_gap_s)
    paths = [[mark_of(item)] for item in items]
    for before, after in itertools.pairwise(stops):
        first, last = moments[before].view, moments[after].view
        advance(items, first, last, hold_s, max_gap_s)
        for item, path in zip(items, paths, strict=True):
            start, end = path[-1], mark_of(item)
            for index in range(before + 1, after):
                share = (index - before) / (after - before)
                path.append(replace(end, uv=(1.0 - share) * start.uv + share * end.uv))
            path.append(end)
    return paths


def _stops(moments: list[Moment], steps: int, max_gap_s: float) -> list[int]:
    """Evenly spaced indices, including the first and last, with no step longer than half the allowed gap."""
    last = len(moments) - 1
    length_s = (moments[-1].view.stamp_ns - moments[0].view.stamp_ns) * 1e-9
    count = min(last, max(steps, int(np.ceil(2.0 * length_s / max_gap_s))))
    return sorted({round(float(place)) for place in np.linspace(0, last, count + 1)})
