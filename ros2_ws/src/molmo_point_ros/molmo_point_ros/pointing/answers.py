"""The answer to one query on one capture, past the gates and ready to go out. No node, no topics."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from molmo_point_msgs.msg import PointTarget, PointTargetArray

from molmo_point.results import ImagePoint, Pointing, Target, Unreachable
from molmo_point.tracking.track import Track, TrackState
from molmo_point_ros.conversions import targets_message, tracks_message
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.stamped_frame import Capture


@dataclass(frozen=True, eq=False)
class Answer:
    """What is told about one query.

    Attributes:
        message: Every point, those without position and those that a gate stopped too.
        targets: What may be acted on: with a position, past every gate; in the frame of the message.
        ids: Of these targets; "" where they are not tracked.
        camera_targets: The same in the optical frame.
        points: Every point in the image, for drawing.
        unreachable: Those without a position.
    """

    message: PointTargetArray
    targets: tuple[Target, ...]
    ids: tuple[str, ...]
    camera_targets: tuple[Target, ...]
    points: tuple[ImagePoint, ...]
    unreachable: tuple[Unreachable, ...]

    @property
    def stopped(self) -> tuple[PointTarget, ...]:
        """What a gate stopped."""
        return tuple(target for target in self.message.targets if target.gate != PointTarget.GATE_OPEN)


def answer_of(pointing: Pointing, capture: Capture, gates: Gates, now_ns: int) -> Answer:
    """The model's answer about a capture."""
    check = functools.partial(gates.check, now_ns=now_ns, workspace_T_camera=capture.workspace_T_camera)
    message = targets_message(pointing, capture.frame, capture.target_T_camera, check)
    results = [found.lifted for found in pointing]
    return _answer(message, results, pointing.points, capture)


def answer_of_tracks(
    last: Pointing, tracks: Sequence[Track], capture: Capture, gates: Gates, now_ns: int, prefix: str = ""
) -> Answer:
    """Where the things of the last answer to a query are in a later capture.

    Args:
        last: The model's last answer.
        tracks: Of this query.
        capture: The later one.
        gates: The limits.
        now_ns: The node's time.
        prefix: What the ids begin with.
    """
    alive = [track for track in tracks if track.state is not TrackState.LOST]
    check = functools.partial(gates.check, now_ns=now_ns, workspace_T_camera=capture.workspace_T_camera)
    message = tracks_message(last, alive, capture.frame, capture.target_T_camera, check, prefix)
    results = [track.target or track.unreachable for track in alive]
    return _answer(message, results, tuple(track.point for track in alive), capture)


def _answer(
    message: PointTargetArray,
    results: Sequence[Target | Unreachable | None],
    points: tuple[ImagePoint, ...],
    capture: Capture,
) -> Answer:
    pairs = list(zip(results, message.targets, strict=True))
    good = [(result, told.id) for result, told in pairs if isinstance(result, Target) and told.gate == PointTarget.GATE_OPEN]
    into = capture.target_T_camera
    return Answer(
        message,
        targets=tuple(target if into is None else target.transformed(into) for target, _ in good),
        ids=tuple(name for _, name in good),
        camera_targets=tuple(target for target, _ in good),
        points=points,
        unreachable=tuple(result for result in results if isinstance(result, Unreachable)),
    )
