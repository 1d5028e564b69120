"""`PointTracker`: frames at camera rate and late answers in, tracks out."""

import copy
import math
import time
from dataclasses import dataclass

import numpy as np

from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.results import Pointing, Target, Unreachable
from molmo_point.tracking.answers import Seed, fuse, seeds_of
from molmo_point.tracking.association import associate
from molmo_point.tracking.follow import Followed, advance, begin, renew_anchor, stop
from molmo_point.tracking.history import History, Mark, Moment, mark_of
from molmo_point.tracking.opencv import import_cv2
from molmo_point.tracking.relift import image_point, relift
from molmo_point.tracking.replay import replay
from molmo_point.tracking.track import LostReason, Track, Tracks, TrackState
from molmo_point.tracking.view import view_of

SAME_PX2 = 4.0
"""Squared Mahalanobis distance below which a new point and a track are one, wherever they came from."""


@dataclass(eq=False)
class _Entry:
    """A track with what the model said about it."""

    id: int
    query: str
    label: str
    confidence: float
    item: Followed
    born_ns: int
    confirmed_ns: int
    misses: int = 0
    lost_ns: int | None = None


class PointTracker:
    """Follows the points of a slow model through the frames between its answers.

    Give every frame to `update`, and every answer to `correct` when it comes: it is about an older
    frame, and is carried forward to now. Time is that of the frames' stamps alone.

    Args:
        history_s: How late an answer may be, in seconds. A second of 640x480 frames at 30 Hz takes
            18 MB.
        hold_s: How long a point that is out of sight is looked for before it is lost.
        max_gap_s: Longest time between two frames to follow points over.
        drop_after: Answers in a row without a point until it is lost.
        forget_s: How long lost tracks are still reported, and known again by their id.
        replay_steps: Most steps that a new point is carried forward in; longer delays skip frames.

    Raises:
        InputError: If a setting is not above zero.
        DependencyError: If OpenCV is not installed.
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
        settings = {
            "history_s": history_s,
            "hold_s": hold_s,
            "max_gap_s": max_gap_s,
            "drop_after": drop_after,
            "forget_s": forget_s,
            "replay_steps": replay_steps,
        }
        for name, value in settings.items():
            if not (math.isfinite(value) and value > 0):
                raise InputError("A setting of the tracker must be above zero", f"{name}={value}", "see PointTracker")
        import_cv2()
        self._hold_s, self._max_gap_s, self._forget_s = hold_s, max_gap_s, forget_s
        self._drop_after, self._replay_steps = int(drop_after), int(replay_steps)
        self._history = History(history_s)
        self._entries: list[_Entry] = []
        self._frame: RgbdFrame | None = None
        self._next_id = 1

    def reset(self) -> None:
        """Forget all frames and tracks, for a new stream. Ids go on, so that none is given twice."""
        self._history.clear()
        self._entries.clear()
        self._frame = None

    def fork(self) -> "PointTracker":
        """A tracker that knows the same and goes its own way from here; the images are shared.

        `correct` may take longer than a frame. One thread can correct a fork while another goes on with this tracker,
        and go over to the fork once that was given the newest frames. Give answers to one of the two only: their new
        ids would be the same.
        """
        other = copy.copy(self)
        other._history = self._history.copy()
        other._entries = copy.deepcopy(self._entries)
        return other

    def update(self, frame: RgbdFrame) -> Tracks:
        """Follow all points into the next frame.

        Args:
            frame: With a later stamp than the one before, and of the same size.

        Raises:
            InputError: If the stamp is not later, or the size or the optical frame changed.
        """
        start = time.perf_counter()
        self._check(frame)
        view = view_of(frame)
        before = self._history.last
        moment = self._history.add(view)
        if before is not None:
            gap = (view.stamp_ns - before.view.stamp_ns) * 1e-9 > self._max_gap_s
            items = [entry.item for entry in self._entries]
            for item in items:
                if gap and item.state is TrackState.TRACKED:
                    stop(item, LostReason.STREAM_GAP)
            advance(items, before.view, view, self._hold_s)
        self._frame = frame
        self._forget(view.stamp_ns)
        moment.marks.update({entry.id: mark_of(entry.item) for entry in self._entries})
        return self._tell(start, time.perf_counter())

    def correct(self, pointing: Pointing, frame_stamp_ns: int | None = None) -> Tracks:
        """Take in an answer of the model, which is about an older frame.

        Points near a track of the same query correct it; others become tracks of their own, with
        new ids; a track that is missing from `drop_after` answers in a row is lost. Tracks of other
        queries are left alone.

        Args:
            pointing: The answer.
            frame_stamp_ns: Stamp of the frame that it is about; default its own.

        Returns:
            The tracks at the time of the newest frame.

        Raises:
            InputError: If that frame is older than the history, or was never given to `update`.
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
        fresh: list[tuple[Seed, _Entry | None]] = []
        for index, seed in enumerate(seeds):
            entry = entry_of.get(index)
            if entry is not None and self._corrected(entry, marks[entry.id], seed, stamp_ns):
                continue
            fresh.append((seed, entry))
        for entry in known:
            if entry not in entry_of.values():
                self._miss(entry)
        self._carry_forward(fresh, moments, pointing.query)
        return self._tell(start, time.perf_counter())

    def _corrected(self, entry: _Entry, mark: Mark, seed: Seed, stamp_ns: int) -> bool:
        """Correct a track that was followed all the way since; False where it has to be found anew."""
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
        depth_m = float(view.depth_at(uv[None])[0])
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

    def _carry_forward(self, fresh: list[tuple[Seed, _Entry | None]], moments: list[Moment], query: str) -> None:
        """Follow new points from the frame of the answer to now, and make tracks of them."""
        first = moments[0].view
        fresh = [(seed, entry) for seed, entry in fresh if bool(first.inside(seed.uv))]
        items = [begin(first, seed.uv, seed.covariance_px2, seed.depth_m) for seed, _ in fresh]
        paths = replay(items, moments, self._replay_steps, self._max_gap_s, self._hold_s)
        for (seed, entry), item, path in zip(fresh, items, paths, strict=True):
            if entry is None and self._taken(item, query):
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

    def _taken(self, item: Followed, query: str) -> bool:
        """Whether a track of the same query already is where a new point ended up."""
        others = [e.item for e in self._entries if e.query == query and e.item.state is TrackState.TRACKED]
        if item.state is not TrackState.TRACKED or not others:
            return False
        uv, spread = item.uv[None], item.covariance_px2[None]
        where, spreads = np.array([o.uv for o in others]), np.array([o.covariance_px2 for o in others])
        return bool(associate(where, spreads, uv, spread, SAME_PX2))

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
                "The stream changed its size or its optical frame",
                f"{last.size_wh} in {last.frame!r}, then {frame.size_wh} in {frame.frame!r}",
                "call reset() where a new stream begins",
            )
        if frame.stamp_ns <= last.stamp_ns:
            raise InputError(
                "Frames must come in the order of time",
                f"stamp_ns={frame.stamp_ns} after {last.stamp_ns}",
                "leave out late and repeated frames; call reset() where a recording starts again",
            )

    def _tell(self, start: float, moved: float) -> Tracks:
        frame = self._frame
        assert frame is not None
        tracks = tuple(_track(entry, frame) for entry in self._entries)
        end = time.perf_counter()
        timing_ms = {"follow": (moved - start) * 1e3, "lift": (end - moved) * 1e3, "total": (end - start) * 1e3}
        return Tracks(frame.stamp_ns, frame.frame, tracks, timing_ms)


def _track(entry: _Entry, frame: RgbdFrame) -> Track:
    item = entry.item
    point = image_point(item, entry.label, entry.confidence)
    lifted = relift(item, point, frame)
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
    )
