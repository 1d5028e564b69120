"""The answer to one query about one capture, behind the gates and ready to publish. No node, no topics."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from molmo_point_msgs.msg import PointTarget, PointTargetArray

from molmo_point.cautions import Caution
from molmo_point.depth.lift import lift_point
from molmo_point.results import Found, ImagePoint, Pointing, Target, Unreachable
from molmo_point.tracking.track import Track, TrackState
from molmo_point_ros.conversions import Check, doubts_of, targets_message, tracks_message
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.stamped_frame import StampedFrame


@dataclass(frozen=True, eq=False)
class QueryAnswer:
    """The answer to one query.

    Attributes:
        message: Every point, including those without position and those that a gate stops.
        targets: Targets that no gate stops, in the frame of the message.
        camera_targets: These targets in the optical frame.
        found: Every point in the image, with its target unless a gate stops it, or the reason why it has no position.
        doubted: For each of `found`, True if its answer bears a caution.
    """

    message: PointTargetArray
    targets: tuple[Target, ...]
    camera_targets: tuple[Target, ...]
    found: tuple[Found, ...]
    doubted: tuple[bool, ...]

    @property
    def shown(self) -> tuple[tuple[Target, bool], ...]:
        """The `targets`, each with True if its answer bears a caution."""
        doubted = [doubt for found, doubt in zip(self.found, self.doubted, strict=True) if found.target is not None]
        return tuple(zip(self.targets, doubted, strict=True))

    @property
    def stopped(self) -> tuple[PointTarget, ...]:
        """Targets that a gate stops."""
        return tuple(target for target in self.message.targets if target.gate != PointTarget.GATE_OPEN)


def answer_of(pointing: Pointing, stamped: StampedFrame, gates: Gates, now_ns: int) -> QueryAnswer:
    """Return the model's answer about a frame; without depth, its points are placed on the frame's plane.

    Raises:
        FrameError: If a transform does not take points of the optical frame.
    """
    pointing = _placed(pointing, stamped)
    message = targets_message(pointing, stamped.frame, stamped.target_T_camera, _check(gates, stamped, now_ns))
    results = [found.lifted for found in pointing]
    return _answer(message, results, pointing.points, stamped, [not pointing.trusted] * len(results))


def answer_of_tracks(
    last: Pointing, tracks: Sequence[Track], stamped: StampedFrame, gates: Gates, now_ns: int, prefix: str = ""
) -> QueryAnswer:
    """Return the tracked points of the last answer in a later frame.

    Args:
        last: The model's last answer to the query.
        tracks: Tracks of the query.
        stamped: The later frame.
        gates: The limits.
        now_ns: The node's time.
        prefix: First part of every id.

    Raises:
        FrameError: As `answer_of`.
    """
    alive = [_placed_track(track, stamped) for track in tracks if track.state is not TrackState.LOST]
    message = tracks_message(last, alive, stamped.frame, stamped.target_T_camera, _check(gates, stamped, now_ns), prefix)
    results = [track.target or track.unreachable for track in alive]
    doubted = [bool(doubts_of(last, track)) for track in alive]
    return _answer(message, results, tuple(track.point for track in alive), stamped, doubted)


def _placed(pointing: Pointing, stamped: StampedFrame) -> Pointing:
    """Place points without a depth camera on the known plane, as far as they have no position yet."""
    frame = stamped.frame
    if frame.depth_m is not None or frame.plane is None:
        return pointing
    found = tuple(each if each.target is not None else Found.of(each.point, lift_point(each.point, frame)) for each in pointing)
    return replace(pointing, found=found)


def _placed_track(track: Track, stamped: StampedFrame) -> Track:
    frame = stamped.frame
    if frame.depth_m is not None or frame.plane is None or track.state is not TrackState.TRACKED:
        return track
    placed = lift_point(track.point, frame)
    is_target = isinstance(placed, Target)
    return replace(track, target=placed if is_target else None, unreachable=None if is_target else placed)


def _check(gates: Gates, stamped: StampedFrame, now_ns: int) -> Check:
    def check(target: Target, cautions: Sequence[Caution]) -> tuple[int, str]:
        return gates.check(target, now_ns, stamped.workspace_T_camera, cautions)

    return check


def _answer(
    message: PointTargetArray,
    results: Sequence[Target | Unreachable | None],
    points: tuple[ImagePoint, ...],
    stamped: StampedFrame,
    doubted: Sequence[bool],
) -> QueryAnswer:
    found = []
    for point, result, told in zip(points, results, message.targets, strict=True):
        target = result if isinstance(result, Target) and told.gate == PointTarget.GATE_OPEN else None
        found.append(Found(point, target, result if isinstance(result, Unreachable) else None))
    good = tuple(each.target for each in found if each.target is not None)
    into = stamped.target_T_camera
    targets = good if into is None else tuple(target.transformed(into) for target in good)
    return QueryAnswer(message, targets, camera_targets=good, found=tuple(found), doubted=tuple(doubted))
