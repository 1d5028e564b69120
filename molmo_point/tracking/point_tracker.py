"""`PointTracker`: takes frames at camera rate and late answers, returns tracks."""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from molmo_point.cautions import Caution
from molmo_point.depth.lift import lift_point
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.request import Surface
from molmo_point.results import DepthStatus, ImagePoint, Pointing, Target, Unreachable
from molmo_point.tracking.answer_fusion import Seed, associate, fuse, seeds_of
from molmo_point.tracking.follow import advance, begin, renew_anchor
from molmo_point.tracking.followed import Followed, stop
from molmo_point.tracking.history import History, Moment, TrackMark, mark_of, replay
from molmo_point.tracking.scene_map import SceneMap
from molmo_point.tracking.track import LostReason, Track, Tracks, TrackState
from molmo_point.tracking.tracked_view import TrackedView, import_cv2, view_of

SAME_PX2 = 4.0
"""Squared Mahalanobis distance below which a new point is a duplicate of a track."""


@dataclass(eq=False)
class _Entry:
    """A track with the answers of the model about it."""

    id: int
    query: str
    label: str
    confidence: float
    item: Followed
    born_ns: int
    confirmed_ns: int
    misses: int = 0
    lost_ns: int | None = None
    cautions: tuple[Caution, ...] = ()


class PointTracker:
    """Follow the points of a slow model through the frames between its answers.

    Pass every frame to `update`, and every answer to `correct` when it arrives. An answer belongs to
    an older frame and is carried forward to the newest one. Only the stamps of the frames count as time.

    Args:
        history_s: Largest delay of an answer, in seconds. One second of 640x480 frames at 30 Hz
            takes 18 MB.
        hold_s: Time in seconds after which a hidden point is lost.
        max_gap_s: Longest time between two frames to follow points over, in seconds.
        drop_after: Number of consecutive answers without a point after which it is lost.
        forget_s: Time in seconds for which a lost track is reported and can be found again.
        replay_steps: Number of steps to carry a new point forward; longer delays skip frames.

    Raises:
        InputError: A setting is not above zero.
        DependencyError: OpenCV is not installed.
    """

    def __init__(
        self,
        *,
        history_s: float = 4.0,
        hold_s: float = 1.0,
        max_gap_s: float = 0.4,
        drop_after: int = 2,
        forget_s: float = 5.0,
        replay_steps: int = 20,
    ) -> None:
        settings = {"history_s": history_s, "hold_s": hold_s, "max_gap_s": max_gap_s, "forget_s": forget_s}
        for name, value in {**settings, "drop_after": drop_after, "replay_steps": replay_steps}.items():
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be above zero", f"{name}={value}", "see the arguments of PointTracker")
        import_cv2()
        self._hold_s, self._max_gap_s, self._forget_s = hold_s, max_gap_s, forget_s
        self._drop_after, self._replay_steps = int(drop_after), int(replay_steps)
        self._history, self._map = History(history_s), SceneMap()
        self._entries: list[_Entry] = []
        self._frame: RgbdFrame | None = None
        self._next_id = 1

    def reset(self) -> None:
        """Drop all frames and tracks, for a new stream. Ids go on, so none is reused."""
        self._history.clear()
        self._map = SceneMap()
        self._entries.clear()
        self._frame = None

    def fork(self) -> "PointTracker":
        """Copy the tracker with its tracks; the images are shared.

        `correct` may take longer than a frame. One thread can correct a fork while another updates this tracker.
        The fork replaces this tracker after it has received the newest frames. Pass answers to only one of the
        two, because both give the same ids to new tracks.
        """
        other = copy.copy(self)
        other._history, other._map = self._history.copy(), self._map.copy()
        other._entries = copy.deepcopy(self._entries)
        return other

    def update(self, frame: RgbdFrame) -> Tracks:
        """Follow all points into the next frame.

        Args:
            frame: Next frame, with a later stamp and the same size.

        Raises:
            InputError: The stamp is not later, or the size or the optical frame changed.
        """
        start = time.perf_counter()
        self._check(frame)
        before = self._history.last
        # The estimate of an unknown camera's noise takes longer than a frame may, so that it is made once.
        known = before is not None and before.view.depth_m is not None
        view = self._map.located(view_of(frame, before.view.noise if before is not None and known else None))
        moment = self._history.add(view)
        if before is not None:
            advance([entry.item for entry in self._entries], before.view, view, self._hold_s, self._max_gap_s)
        self._frame = frame
        self._forget(view.stamp_ns)
        moment.marks.update({entry.id: mark_of(entry.item) for entry in self._entries})
        return self._report(start, time.perf_counter())

    def correct(self, pointing: Pointing, frame_stamp_ns: int | None = None) -> Tracks:
        """Correct the tracks by an answer of the model about an older frame.

        A point near a track of the same query corrects it. Other points become new tracks. A track
        that is missing from `drop_after` consecutive answers is lost. Tracks of other queries stay
        unchanged.

        Args:
            pointing: Answer of the model.
            frame_stamp_ns: Stamp of the frame of the answer; its own stamp by default.

        Returns:
            The tracks at the time of the newest frame.

        Raises:
            InputError: The frame is older than the history, or was never passed to `update`.
        """
        start = time.perf_counter()
        stamp_ns = pointing.stamp_ns if frame_stamp_ns is None else frame_stamp_ns
        moments = self._history.since(stamp_ns)
        seeds = seeds_of(pointing, moments[0].view.size_wh[0])
        marks = moments[0].marks
        known = [entry for entry in self._entries if entry.query == pointing.query and entry.id in marks]
        pairs = associate(
            np.array([marks[entry.id].uv for entry in known]),
            np.array([marks[entry.id].covariance_px2 for entry in known]),
            np.array([seed.uv for seed in seeds]),
            np.array([seed.covariance_px2 for seed in seeds]),
        )
        entry_of = {point: known[track] for track, point in pairs}
        answered = [(seed, entry_of.get(index)) for index, seed in enumerate(seeds)]
        fresh = [(s, entry) for s, entry in answered if entry is None or not self._corrected(entry, marks[entry.id], s, stamp_ns)]
        for entry in known:
            if entry not in entry_of.values():
                self._miss(entry)
        for entry in (*entry_of.values(), *self._carry_forward(fresh, moments, pointing.query)):
            entry.cautions = pointing.cautions
        return self._report(start, time.perf_counter())

    def _corrected(self, entry: _Entry, mark: TrackMark, seed: Seed, stamp_ns: int) -> bool:
        """Correct a track that was never lost since; False if the point must be replayed."""
        item = entry.item
        if mark.state is not TrackState.TRACKED or item.state is not TrackState.TRACKED:
            return False
        fused, covariance = fuse(mark.uv, mark.covariance_px2, seed.uv, seed.covariance_px2)
        since = item.total @ np.linalg.inv(mark.total)
        assert self._history.last is not None
        view = self._history.last.view
        uv = item.uv + since @ (fused - mark.uv)
        if not view.inside(uv, 1.0):
            return False
        grown = item.covariance_px2 - since @ mark.covariance_px2 @ since.T
        values, vectors = np.linalg.eigh((grown + grown.T) / 2.0)
        grown = vectors @ np.diag(np.maximum(values, 0.0)) @ vectors.T
        item.uv = uv
        renew_anchor(item, view)
        item.base_px2 = since @ covariance @ since.T + grown
        depth_m = view.depth_of(uv)
        if abs(depth_m - item.depth_m) <= 2.0 * view.gate_m(item.depth_m):
            item.depth_m = depth_m
        entry.label, entry.confidence = seed.label, seed.confidence
        entry.misses, entry.confirmed_ns = 0, max(entry.confirmed_ns, stamp_ns)
        return True

    def _miss(self, entry: _Entry) -> None:
        entry.misses += 1
        if entry.misses >= self._drop_after and entry.item.state is not TrackState.LOST:
            stop(entry.item, LostReason.NOT_CONFIRMED, lost=True)
            assert self._history.last is not None
            entry.lost_ns = self._history.last.view.stamp_ns

    def _carry_forward(self, fresh: list[tuple[Seed, _Entry | None]], moments: list[Moment], query: str) -> Iterator[_Entry]:
        """Follow new points from the frame of the answer to the newest one, and make and return tracks of them."""
        first = moments[0].view
        fresh = [(seed, entry) for seed, entry in fresh if bool(first.inside(seed.uv))]
        items = [begin(first, seed.uv, seed.covariance_px2, seed.depth_m) for seed, _ in fresh]
        paths = replay(items, moments, self._replay_steps, self._max_gap_s, self._hold_s)
        for (seed, entry), item, path in zip(fresh, items, paths, strict=True):
            if entry is None and self._is_duplicate(item, query):
                continue
            if entry is None:
                entry = _Entry(self._next_id, query, seed.label, seed.confidence, item, first.stamp_ns, first.stamp_ns)
                self._next_id += 1
                self._entries.append(entry)
            elif item.state is TrackState.TRACKED or entry.item.state is TrackState.LOST:
                entry.item, entry.lost_ns = item, None
                entry.label, entry.confidence = seed.label, seed.confidence
            entry.misses, entry.confirmed_ns = 0, max(entry.confirmed_ns, first.stamp_ns)
            for moment, mark in zip(moments, path, strict=True):
                moment.marks[entry.id] = mark
            yield entry

    def _is_duplicate(self, item: Followed, query: str) -> bool:
        """Test if a new point duplicates a track of the same query."""
        others = [e.item for e in self._entries if e.query == query and e.item.state is TrackState.TRACKED]
        where, spreads = np.array([o.uv for o in others]), np.array([o.covariance_px2 for o in others])
        is_near = associate(where, spreads, item.uv[None], item.covariance_px2[None], SAME_PX2)
        return item.state is TrackState.TRACKED and bool(is_near)

    def _forget(self, now_ns: int) -> None:
        for entry in self._entries:
            if entry.item.state is not TrackState.LOST:
                entry.lost_ns = None
            elif entry.lost_ns is None:
                entry.lost_ns = now_ns
        self._entries = [e for e in self._entries if e.lost_ns is None or (now_ns - e.lost_ns) * 1e-9 <= self._forget_s]

    def _check(self, frame: RgbdFrame) -> None:
        last = self._frame
        if last is None:
            return
        if frame.size_wh != last.size_wh or frame.frame != last.frame:
            raise InputError(
                "The size and the optical frame of a stream must not change",
                f"{last.size_wh} in {last.frame!r}, then {frame.size_wh} in {frame.frame!r}",
                "call reset() when a new stream begins",
            )
        if frame.stamp_ns <= last.stamp_ns:
            raise InputError(
                "Frames must arrive in order of time",
                f"stamp_ns={frame.stamp_ns} after {last.stamp_ns}",
                "skip late and repeated frames; call reset() when a recording starts again",
            )

    def _report(self, start: float, moved: float) -> Tracks:
        frame, last = self._frame, self._history.last
        assert frame is not None and last is not None
        tracks = tuple(_track(entry, frame, last.view) for entry in self._entries)
        end = time.perf_counter()
        timing_ms = {"follow": (moved - start) * 1e3, "lift": (end - moved) * 1e3, "total": (end - start) * 1e3}
        return Tracks(frame.stamp_ns, frame.frame, tracks, timing_ms)


def _track(entry: _Entry, frame: RgbdFrame, view: TrackedView) -> Track:
    item = entry.item
    # One standard deviation for both axes.
    sigma_px = math.sqrt(max(float(np.trace(item.covariance_px2)) / 2.0, 0.0))
    point = ImagePoint(float(item.uv[0]), float(item.uv[1]), entry.label, entry.confidence, sigma_px)
    lifted = _lift(item, point, frame, view)
    return Track(
        id=entry.id,
        label=entry.label,
        point=point,
        target=lifted if isinstance(lifted, Target) else None,
        unreachable=lifted if isinstance(lifted, Unreachable) else None,
        state=item.state,
        age_s=(frame.stamp_ns - entry.born_ns) * 1e-9,
        since_seen_s=(frame.stamp_ns - item.seen_ns) * 1e-9,
        since_confirmed_s=(frame.stamp_ns - entry.confirmed_ns) * 1e-9,
        similarity=item.similarity,
        reason=item.reason,
        query=entry.query,
        cautions=entry.cautions,
    )


def _lift(item: Followed, point: ImagePoint, frame: RgbdFrame, view: TrackedView) -> Target | Unreachable | None:
    """Lift a visible point onto the surface that is followed.

    Among several surfaces near the pixel, the one that continues the depth of the frames before is
    taken. A target on any other surface would be a guess.

    Returns:
        None if the point is not visible; `Unreachable` if no such surface has depth.
    """
    if item.state is not TrackState.TRACKED or item.seen_ns != frame.stamp_ns:
        return None
    # The tracked depth is a median, the target's depth is at the pixel: they differ on a tilted surface.
    gate_m = 2.0 * view.gate_m(item.depth_m)
    for prefer in Surface:
        lifted = lift_point(point, frame, noise=view.noise, prefer=prefer)
        if isinstance(lifted, Unreachable):
            return lifted
        if not math.isfinite(item.depth_m) or abs(float(lifted.position_m[2]) - item.depth_m) <= gate_m:
            return lifted
        if lifted.depth_status is not DepthStatus.AMBIGUOUS:
            break
    message = f"the depth at the point differs from the depth of the surface that is followed, {item.depth_m:.3f} m"
    return Unreachable(point.u, point.v, point.label, DepthStatus.AMBIGUOUS, message)
