"""A tree of transforms in time. No ROS in here.

It is stricter than tf2's buffer: it never interpolates over a wide gap, forgets edges that are no longer published, and
refuses contradictions (a loop, two parents, two publishers) with the names of the frames. An edge that was published only
once never displaces the edges of a running robot.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from molmo_point.errors import FrameError
from molmo_point.geometry.transforms import Transform
from molmo_point_ros.inputs.synchronizer import SET_BACK_NS
from molmo_point_ros.inputs.tf_edge import ContradictionError, NotYetKnownError, TransformEdge, TransformLimits, same_pose

__all__ = ["ContradictionError", "NotYetKnownError", "TransformBuffer", "TransformLimits"]

_LATER_NS = 1_000_000_000
"""A static transform that comes this much later than the others is the newcomer in a contradiction."""
_REREAD_NS = 2_000_000_000
"""Time within which static transforms come again from their living publishers."""
_NEAR_EDGES = 3
_FIX = "end the node that publishes the wrong one; it is forgotten tf_max_age_s later"


class TransformBuffer:
    """Transforms of the last seconds. Safe to use from several threads.

    Args:
        limits: Ages and gaps of the transforms that are used.
        now_ns: Clock of the ages, in nanoseconds. A step back of it forgets the moving transforms.
        on_noted: Called with a warning about an edge that is ignored in a contradiction, or replaced.
    """

    def __init__(
        self,
        limits: TransformLimits | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
        on_noted: Callable[[str], None] = lambda words: None,
    ) -> None:
        self._limits = limits or TransformLimits()
        self._clock, self._on_noted = now_ns, on_noted
        self._edges: dict[str, dict[tuple[str, bool], TransformEdge]] = {}
        self._now_ns = self._swept_ns = now_ns()
        self._lock = threading.Lock()

    def add(self, parent_T_child: Transform, stamp_ns: int, *, static: bool = False) -> None:
        """Take a transform: `target` is the parent, `source` the child. A static one holds at all times."""
        with self._lock:
            now_ns = self._tick()
            edges = self._edges.setdefault(parent_T_child.source, {})
            key = (parent_T_child.target, static)
            edge = edges.get(key)
            if edge is None or not edge.is_alive(now_ns):
                edge = edges[key] = TransformEdge(parent_T_child.target, parent_T_child.source, self._limits, static, now_ns)
            elif static and not same_pose(edge.newest, parent_T_child):
                self._on_noted(f"the static transform {edge.parent}_T_{edge.child} was replaced by another value")
            edge.add(parent_T_child, stamp_ns, now_ns)

    def question_static(self) -> None:
        """Note that static transforms are read again: one that does not come again loses in a contradiction."""
        with self._lock:
            now_ns = self._tick()
            for edges in self._edges.values():
                for edge in edges.values():
                    edge.questioned_ns = now_ns if edge.static else None

    def frames(self) -> tuple[str, ...]:
        """Return the names of all known frames, in alphabetical order."""
        with self._lock:
            return tuple(self._frames(self._tick()))

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Transform:
        """Return `target_T_source` at a capture time, or the newest of each edge with `stamp_ns=None`.

        Raises:
            NotYetKnownError: If a frame is unknown, the two are not connected (yet), the newest transform on the path is
                older than the stamp, or the transforms around the stamp are too far apart.
            ContradictionError: If transforms contradict one another.
            FrameError: If the stamp is older than the kept transforms.
        """
        with self._lock:
            now_ns = self._tick()
            self._check_known(target, source, now_ns)
            path = self._path(target, source, now_ns)
            sides = []
            for frame, edges in zip((target, source), path, strict=True):
                found = Transform.identity(frame, frame)
                for edge in edges:
                    parent_T_child = edge.at(stamp_ns, now_ns)
                    if isinstance(parent_T_child, FrameError):
                        raise parent_T_child
                    found = parent_T_child @ found
                sides.append(found)
            return sides[0].inverse() @ sides[1]

    def __len__(self) -> int:
        """Return the number of edges."""
        with self._lock:
            return sum(len(edges) for edges in self._edges.values())

    def near(self, frame: str) -> list["Neighbor"]:
        """Return the frames that at most three edges connect to a frame, with the newest transforms."""
        with self._lock:
            edges = list(self._alive(self._tick()))
        found = {frame: Neighbor(Transform.identity(frame, frame), False)}
        for _ in range(_NEAR_EDGES):
            for name, known in list(found.items()):
                for edge in edges:
                    other = edge.child if edge.parent == name else edge.parent if edge.child == name else None
                    if other is not None and other not in found:
                        step = edge.newest if edge.parent == name else edge.newest.inverse()
                        found[other] = Neighbor(known.frame_T_other @ step, name == frame == edge.parent)
        return list(found.values())[1:]

    def root(self, frame: str) -> str:
        """Return the topmost ancestor of a frame; the frame itself if it has none."""
        with self._lock:
            return self._upwards(frame, self._tick()).names[-1]

    def newest_ns(self, target: str, source: str) -> int | None:
        """Return the oldest of the newest stamps on the path, in nanoseconds; None if the path is static or unknown."""
        with self._lock:
            try:
                path = self._path(target, source, self._tick())
            except FrameError:
                return None
            return min((edge.newest_ns for edges in path for edge in edges if not edge.static), default=None)

    def _tick(self) -> int:
        """Return the time, and forget edges: all moving ones if time was set back, otherwise those without publisher."""
        now_ns = self._clock()
        is_set_back = now_ns < self._now_ns - SET_BACK_NS
        self._now_ns = now_ns
        if is_set_back or now_ns - self._swept_ns > self._limits.max_age_s * 1e9:
            self._swept_ns = now_ns
            for child, edges in list(self._edges.items()):
                dead = [key for key, edge in edges.items() if not edge.static and (is_set_back or not edge.is_alive(now_ns))]
                for key in dead:
                    del edges[key]
                if not edges:
                    del self._edges[child]
        return now_ns

    def _alive(self, now_ns: int) -> Iterator[TransformEdge]:
        return (edge for edges in self._edges.values() for edge in edges.values() if edge.is_alive(now_ns))

    def _frames(self, now_ns: int) -> list[str]:
        return sorted({name for edge in self._alive(now_ns) for name in (edge.child, edge.parent)})

    def _check_known(self, target: str, source: str, now_ns: int) -> None:
        known = self._frames(now_ns)
        for name in (target, source):
            if name not in known:
                listed = ", ".join(known) or "none (nothing was published on /tf and /tf_static)"
                raise NotYetKnownError(
                    f"The frame {name!r} does not exist",
                    f"{target}_T_{source}; known frames: {listed}",
                    "publish it on /tf or /tf_static, or ask for a known frame",
                )

    def _path(self, target: str, source: str, now_ns: int) -> tuple[list[TransformEdge], list[TransformEdge]]:
        """Return the edges from each of two frames up to their common ancestor.

        Raises:
            FrameError: If the frames are not connected, or the path is contradicted.
        """
        up_target, up_source = self._upwards(target, now_ns), self._upwards(source, now_ns)
        common = next((name for name in up_target.names if name in up_source.names), None)
        if common is None:
            contradiction = up_target.contradiction or up_source.contradiction
            if contradiction is not None:
                raise contradiction
            raise NotYetKnownError(
                f"The frames {target!r} and {source!r} are not connected",
                f"known frames: {', '.join(self._frames(now_ns))}",
                "publish the transform that connects them",
            )
        path = up_target.edges[: up_target.names.index(common)], up_source.edges[: up_source.names.index(common)]
        frames = {target, source} | {edge.parent for edges in path for edge in edges}
        for up in (up_target, up_source):
            if up.contradiction is not None and any({edge.child, edge.parent} <= frames for edge in up.odd):
                raise up.contradiction
        return path

    def _upwards(self, frame: str, now_ns: int) -> "_Ancestry":
        """Return the way from a frame to its root, to a loop, or to a frame with contradicting parents."""
        skipped: set[TransformEdge] = set()
        while True:
            up = _Ancestry([frame])
            while not up.odd and up.contradiction is None:
                edge = self._edge(up.names[-1], now_ns, skipped)
                if edge is None:
                    return up
                if isinstance(edge, FrameError):
                    up.contradiction, up.odd = edge, list(self._edges[up.names[-1]].values())
                    return up
                up.edges.append(edge)
                if edge.parent in up.names:
                    up.odd = up.edges[up.names.index(edge.parent) :]
                else:
                    up.names.append(edge.parent)
            shown = " -> ".join([up.odd[-1].parent, *(edge.child for edge in reversed(up.odd))])
            newcomer = _newcomer(up.odd, now_ns)
            if newcomer is None:
                up.contradiction = ContradictionError("The frames must form a tree", f"{shown} is a loop", _FIX)
                return up
            self._ignore(newcomer, f"it closes the loop {shown}")
            skipped.add(newcomer)

    def _edge(self, child: str, now_ns: int, skipped: set[TransformEdge]) -> "TransformEdge | FrameError | None":
        """Return the edge from a frame to its parent; None for a root; an error if its edges contradict one another."""
        edges = [edge for edge in self._edges.get(child, {}).values() if edge not in skipped and edge.is_alive(now_ns)]
        while len(edges) > 1 and (newcomer := _newcomer(edges, now_ns)) is not None:
            edges.remove(newcomer)
            self._ignore(newcomer, f"{child!r} hangs below {' and '.join(repr(edge.parent) for edge in edges)}")
        for one, other in itertools.pairwise(edges):
            if one.parent != other.parent:
                given = f"{child!r} hangs below {one.parent!r} and {other.parent!r}"
                return ContradictionError("A frame must have one parent", given, _FIX)
            if not same_pose(one.newest, other.newest):
                given = f"{one.parent}_T_{child} comes on /tf and on /tf_static with different values"
                return ContradictionError("A transform must have one publisher", given, _FIX)
        return max(edges, key=lambda edge: edge.static, default=None)

    def _ignore(self, edge: TransformEdge, reason: str) -> None:
        if not edge.is_told:
            edge.is_told = True
            self._on_noted(f"ignored the transform {edge.parent}_T_{edge.child}, published once: {reason}")


@dataclass(frozen=True, eq=False)
class Neighbor:
    """A frame near another one.

    Attributes:
        frame_T_other: From the neighbor to the frame.
        is_child: True if the frame is its parent.
    """

    frame_T_other: Transform
    is_child: bool

    @property
    def name(self) -> str:
        """Name of the neighbor."""
        return self.frame_T_other.source


@dataclass(eq=False)
class _Ancestry:
    """The way from a frame towards its root: frames, edges between them, and the contradicting edges at its end."""

    names: list[str]
    edges: list[TransformEdge] = field(default_factory=list)
    odd: list[TransformEdge] = field(default_factory=list)
    contradiction: FrameError | None = None


def _newcomer(edges: list[TransformEdge], now_ns: int) -> TransformEdge | None:
    """Return the edge, of several that contradict one another, that a running robot did not publish; None if unclear."""
    moving = [edge for edge in edges if not edge.static]
    gone = [edge for edge in edges if edge.questioned_ns is not None and now_ns - edge.questioned_ns > _REREAD_NS]
    for odd in ([edge for edge in moving if not edge.confirmed], gone):
        if odd:
            return odd[-1] if len(odd) < len(edges) else None
    newest = max(edges, key=lambda edge: edge.since_ns)
    is_later = all(newest.since_ns - edge.since_ns > _LATER_NS for edge in edges if edge is not newest)
    return newest if newest.static and moving and is_later else None
