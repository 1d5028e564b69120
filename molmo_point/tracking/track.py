"""Results of a tracker: tracks with their state, and the reason why one was lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from molmo_point.cautions import Caution
from molmo_point.plain_json import plain_json
from molmo_point.results import ImagePoint, Target, Unreachable


class TrackState(str, Enum):
    """State of a track.

    TRACKED: visible in this frame. HELD: not visible; its pixel is predicted and it has no target.
    LOST: given up until the model finds it again.
    """

    TRACKED = "TRACKED"
    HELD = "HELD"
    LOST = "LOST"


class LostReason(str, Enum):
    """Reason why a track is held or lost, and its message in words."""

    message: str

    def __new__(cls, value: str, message: str) -> "LostReason":
        """Make a member with its message."""
        reason = str.__new__(cls, value)
        reason._value_, reason.message = value, message
        return reason

    NONE = "", ""
    LEFT_IMAGE = "LEFT_IMAGE", "it left the image"
    OCCLUDED = "OCCLUDED", "a nearer object is in front of it"
    TOO_FAST = "TOO_FAST", "the image is blurred there, or moves too fast"
    DEPTH_JUMP = "DEPTH_JUMP", "the depth at the point jumped away"
    DRIFTED = "DRIFTED", "it no longer looks like the object that was pointed at"
    NO_TEXTURE = "NO_TEXTURE", "there is too little texture to follow"
    STREAM_GAP = "STREAM_GAP", "the gap between two frames was too long"
    NOT_CONFIRMED = "NOT_CONFIRMED", "the model no longer points at it"


@dataclass(frozen=True, eq=False)
class Track:
    """One point that is followed.

    Attributes:
        id: Number of the track, constant for its lifetime and never reused.
        label: Label that the model gave to the point.
        point: Pixel in this frame with its grown `sigma_px`; predicted while HELD, the last one
            seen once LOST.
        target: Position in the frame's optical frame; None unless the point is visible and has depth.
        unreachable: Reason why a visible point has no position; None otherwise.
        state: State of the track.
        age_s: Time since the frame of the first answer with this point, in seconds.
        since_seen_s: Time since the last frame that showed the point, in seconds; 0 while TRACKED.
        since_confirmed_s: Time since the frame of the last answer with this point, in seconds.
        similarity: Correlation with the reference patch, -1 to 1; NaN if there is too little texture.
        reason: Reason why the track is held or lost.
        query: Words of the question that found the point.
        cautions: Cautions of the last answer with this point.
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
    cautions: tuple[Caution, ...] = ()

    @property
    def message(self) -> str:
        """The reason in words; empty while TRACKED."""
        return self.reason.message

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types; NaN and None become null."""
        places = {"point": self.point, "target": self.target, "unreachable": self.unreachable}
        return plain_json({**vars(self), **{name: each and each.to_dict() for name, each in places.items()}})


@dataclass(frozen=True, eq=False)
class Tracks:
    """All tracks at the time of one frame, in the order of their ids.

    Attributes:
        stamp_ns: Capture time of the frame.
        frame: Optical frame of the targets.
        tracks: All tracks; lost ones stay for a while, so that the reason is seen.
        timing_ms: Time spent on this frame in milliseconds, by stage.
    """

    stamp_ns: int
    frame: str
    tracks: tuple[Track, ...]
    timing_ms: Mapping[str, float]

    @property
    def targets(self) -> tuple[Target, ...]:
        """Targets of the tracks that have one."""
        return tuple(track.target for track in self.tracks if track.target is not None)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types."""
        return plain_json({**vars(self), "tracks": [track.to_dict() for track in self.tracks]})
