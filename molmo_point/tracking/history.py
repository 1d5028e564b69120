"""The last seconds of a tracker: views, and where every track was, for answers that come late."""

from collections import deque
from dataclasses import dataclass, field

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.tracking.follow import Followed
from molmo_point.tracking.track import TrackState
from molmo_point.tracking.view import View


@dataclass(frozen=True, eq=False)
class Mark:
    """Where a track was: pixel (2,), its covariance (2, 2), scale and turn since its start (2, 2), and its state."""

    uv: FloatArray
    covariance_px2: FloatArray
    total: FloatArray
    state: TrackState


@dataclass(frozen=True, eq=False)
class Moment:
    """A view, and the marks of the tracks in it by their id."""

    view: View
    marks: dict[int, Mark] = field(default_factory=dict)


def mark_of(item: Followed) -> Mark:
    """Where a point is now."""
    return Mark(item.uv.copy(), item.covariance_px2, item.total, item.state)


class History:
    """Moments in the order of time, none older than a limit.

    Args:
        length_s: How far it reaches back, in seconds.
    """

    def __init__(self, length_s: float) -> None:
        self._length_ns = round(length_s * 1e9)
        self._moments: deque[Moment] = deque()

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def last(self) -> Moment | None:
        """The newest moment; None before the first."""
        return self._moments[-1] if self._moments else None

    def add(self, view: View) -> Moment:
        """Append a view and forget what is too old."""
        moment = Moment(view)
        self._moments.append(moment)
        while view.stamp_ns - self._moments[0].view.stamp_ns > self._length_ns:
            self._moments.popleft()
        return moment

    def copy(self) -> "History":
        """Another history of the same views, whose marks are its own."""
        other = History(self._length_ns * 1e-9)
        other._moments.extend(Moment(moment.view, dict(moment.marks)) for moment in self._moments)
        return other

    def clear(self) -> None:
        """Forget everything."""
        self._moments.clear()

    def since(self, stamp_ns: int) -> list[Moment]:
        """All moments from the one with this stamp on.

        Raises:
            InputError: If no frame with this stamp is held.
        """
        moments = list(self._moments)
        for index, moment in enumerate(moments):
            if moment.view.stamp_ns == stamp_ns:
                return moments[index:]
        if not moments:
            raise InputError("The tracker has seen no frame yet", f"stamp_ns={stamp_ns}", "call update(frame) first")
        first, last = moments[0].view.stamp_ns, moments[-1].view.stamp_ns
        if stamp_ns < first:
            raise InputError(
                "The answer is older than the frames that are kept",
                f"stamp_ns={stamp_ns}, {(last - stamp_ns) * 1e-9:.2f} s before the newest frame",
                "give PointTracker a longer history_s, or ask about a newer frame",
            )
        raise InputError(
            "The answer is about a frame that the tracker has not seen",
            f"stamp_ns={stamp_ns}, frames from {first} to {last}",
            "give the tracker every frame that the model is asked about, before the answer",
        )
