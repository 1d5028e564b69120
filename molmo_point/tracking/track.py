"""What a tracker tells: tracks with their state, and why one was lost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from molmo_point.results import ImagePoint, Target, Unreachable


class TrackState(str, Enum):
    """How much a track can be trusted.

    TRACKED: seen in this frame. HELD: not seen now, looked for; its pixel is a guess and it has no
    target. LOST: given up until the model finds it again.
    """

    TRACKED = "TRACKED"
    HELD = "HELD"
    LOST = "LOST"


class LostReason(str, Enum):
    """Why a track is held or lost."""

    NONE = ""
    LEFT_IMAGE = "LEFT_IMAGE"
    OCCLUDED = "OCCLUDED"
    TOO_FAST = "TOO_FAST"
    DEPTH_JUMP = "DEPTH_JUMP"
    DRIFTED = "DRIFTED"
    NO_TEXTURE = "NO_TEXTURE"
    STREAM_GAP = "STREAM_GAP"
    NOT_CONFIRMED = "NOT_CONFIRMED"


MESSAGES: Mapping[LostReason, str] = {
    LostReason.NONE: "",
    LostReason.LEFT_IMAGE: "it left the image",
    LostReason.OCCLUDED: "something nearer is in front of it",
    LostReason.TOO_FAST: "the image is blurred there or moves too fast",
    LostReason.DEPTH_JUMP: "the depth under it jumped away",
    LostReason.DRIFTED: "it no longer looks like what was pointed at",
    LostReason.NO_TEXTURE: "nothing there can be followed",
    LostReason.STREAM_GAP: "no frames came for too long",
    LostReason.NOT_CONFIRMED: "the model no longer points at it",
}


@dataclass(frozen=True, eq=False)
class Track:
    """One point that is followed.

    Attributes:
        id: The same for the whole life of the point; never given twice.
        label: What the model says is there.
        point: Where it is in this frame, with the grown `sigma_px`; where it is guessed to be
            while HELD, where it was last seen once LOST.
        target: In space, in the frame's optical frame; None unless it was seen in this frame and
            has depth.
        unreachable: Why a point that was seen has no position; None otherwise.
        state: See `TrackState`.
        age_s: Time since the frame of the first answer that named it, in seconds.
        since_seen_s: Time since the last frame that it was seen in; 0 while TRACKED.
        since_confirmed_s: Time since the frame of the last answer that named it.
        similarity: Correlation with the picture of it that it is held to, -1 to 1; NaN where there
            is too little texture to tell.
        reason: Why it is held or lost.
        query: What was asked for when the model pointed at it.
    """

    id: int
    label: str
    point: ImagePoint
    target: Target | None
    unreachable: Unreachable | None
    state: TrackState
    age_s: float
    since_seen_s: float
    since_confirmed_s: float
    similarity: float
    reason: LostReason
    query: str = ""

    @property
    def message(self) -> str:
        """The reason in words; empty while TRACKED."""
        return MESSAGES[self.reason]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; NaN and what is not there become null."""
        return {
            "id": self.id,
            "label": self.label,
            "point": self.point.to_dict(),
            "target": None if self.target is None else self.target.to_dict(),
            "unreachable": None if self.unreachable is None else self.unreachable.to_dict(),
            "state": self.state.value,
            "age_s": self.age_s,
            "since_seen_s": self.since_seen_s,
            "since_confirmed_s": self.since_confirmed_s,
            "similarity": self.similarity if math.isfinite(self.similarity) else None,
            "reason": self.reason.value,
            "query": self.query,
        }


@dataclass(frozen=True, eq=False)
class Tracks:
    """All tracks at the time of one frame, in the order of their ids.

    Attributes:
        stamp_ns: Capture time of the frame.
        frame: Its optical frame, which the targets are in.
        tracks: Lost ones stay for a while, so that nobody misses why.
        timing_ms: Time spent on this frame, by stage.
    """

    stamp_ns: int
    frame: str
    tracks: tuple[Track, ...]
    timing_ms: Mapping[str, float]

    @property
    def targets(self) -> tuple[Target, ...]:
        """Targets of all tracks that have one now."""
        return tuple(track.target for track in self.tracks if track.target is not None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "stamp_ns": self.stamp_ns,
            "frame": self.frame,
            "tracks": [track.to_dict() for track in self.tracks],
            "timing_ms": dict(self.timing_ms),
        }
