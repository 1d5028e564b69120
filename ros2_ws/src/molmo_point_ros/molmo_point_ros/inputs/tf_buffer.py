"""A tree of transforms in time, as tf2's buffer, for ROS 2 installations without tf2_ros. No ROS in here.

Transforms are kept per child frame. A lookup interpolates between the neighbors in time on every edge of the path. It
never extrapolates: the error for a moment outside says by how much.
"""

import bisect
import threading
from collections.abc import Iterator

from molmo_point.errors import FrameError
from molmo_point.geometry.poses import between
from molmo_point.geometry.transforms import Transform

_MAX_DEPTH = 100


class NotYetKnownError(FrameError):
    """The transform at this stamp is unknown, but waiting may help: its publisher may be late."""


class TransformBuffer:
    """Transforms of the last seconds. Safe to use from several threads.

    Args:
        cache_s: Age behind the newest of the same frame at which moving transforms are forgotten, in seconds.
    """

    def __init__(self, cache_s: float = 10.0) -> None:
        self._cache_ns = round(cache_s * 1e9)
        self._static: dict[str, Transform] = {}
        self._moving: dict[str, tuple[list[int], list[Transform]]] = {}
        self._lock = threading.Lock()

    def add(self, parent_T_child: Transform, stamp_ns: int, *, static: bool = False) -> None:
        """Take a transform: `target` is the parent, `source` the child. A static one holds at all times."""
        child = parent_T_child.source
        with self._lock:
            if static:
                self._static[child] = parent_T_child
                self._moving.pop(child, None)
                return
            self._static.pop(child, None)
            stamps, transforms = self._moving.setdefault(child, ([], []))
            if stamps and stamp_ns < stamps[-1] - self._cache_ns:
                # Time was set back: what is known belongs to another run.
                stamps.clear()
                transforms.clear()
            place = bisect.bisect_left(stamps, stamp_ns)
            if place < len(stamps) and stamps[place] == stamp_ns:
                transforms[place] = parent_T_child
            else:
                stamps.insert(place, stamp_ns)
                transforms.insert(place, parent_T_child)
            old = bisect.bisect_left(stamps, stamps[-1] - self._cache_ns)
            del stamps[:old], transforms[:old]

    def frames(self) -> tuple[str, ...]:
        """Return the names of all known frames, in alphabetical order."""
        with self._lock:
            return tuple(sorted(self._frames()))

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Transform:
        """Return `target_T_source` at a capture time, or the newest of each edge with `stamp_ns=None`.

        Raises:
            NotYetKnownError: If a frame is unknown, the two are not connected (yet), or the newest transform on the path
                is older than the stamp.
            FrameError: If the stamp is older than the kept transforms.
        """
        with self._lock:
            known = self._frames()
            for name in (target, source):
                if name not in known:
                    listed = ", ".join(sorted(known)) or "none (nothing was published on /tf and /tf_static)"
                    raise NotYetKnownError(
                        f"The frame {name!r} does not exist",
                        f"{target}_T_{source}; known frames: {listed}",
                        "publish it on /tf or /tf_static, or ask for a known frame",
                    )
            up_source = dict(self._upwards(source, stamp_ns))
            for ancestor, ancestor_T_target in self._upwards(target, stamp_ns):
                if ancestor in up_source:
                    return _checked(ancestor_T_target).inverse() @ _checked(up_source[ancestor])
            raise NotYetKnownError(
                f"The frames {target!r} and {source!r} are not connected",
                f"known frames: {', '.join(sorted(known))}",
                "publish the transform that connects them",
            )

    def newest_ns(self, target: str, source: str) -> int | None:
        """Return the oldest of the newest stamps on the path, in nanoseconds; None if the path is static or unknown."""
        with self._lock:
            ups = [[name for name, _ in self._upwards(frame, None)] for frame in (target, source)]
            common = set(ups[0]) & set(ups[1])
            edges = [name for up in ups for name in up if name not in common] if common else []
            stamps = [self._moving[name][0][-1] for name in edges if name in self._moving]
            return min(stamps, default=None)

    def _frames(self) -> set[str]:
        names = set(self._static) | set(self._moving)
        names |= {transform.target for transform in self._static.values()}
        return names | {transforms[-1].target for _, transforms in self._moving.values()}

    def _upwards(self, frame: str, stamp_ns: int | None) -> Iterator[tuple[str, "Transform | FrameError"]]:
        """Yield each ancestor with `ancestor_T_frame`, from the frame itself to the root; an error if unknown."""
        upwards: Transform | FrameError = Transform.identity(frame, frame)
        name = frame
        for _ in range(_MAX_DEPTH):
            yield name, upwards
            edge = self._edge(name, stamp_ns)
            if edge is None:
                return
            name, parent_T_child = edge
            if isinstance(upwards, Transform):
                upwards = parent_T_child @ upwards if isinstance(parent_T_child, Transform) else parent_T_child

    def _edge(self, child: str, stamp_ns: int | None) -> tuple[str, "Transform | FrameError"] | None:
        if child in self._static:
            return self._static[child].target, self._static[child]
        if child not in self._moving:
            return None
        stamps, transforms = self._moving[child]
        newest = transforms[-1]
        if stamp_ns is None or stamp_ns == stamps[-1]:
            return newest.target, newest
        if stamp_ns > stamps[-1] or stamp_ns < stamps[0]:
            return newest.target, _outside(newest, stamps, stamp_ns)
        after = bisect.bisect_right(stamps, stamp_ns)
        before = transforms[after - 1]
        share = (stamp_ns - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        return before.target, _between(before, transforms[after], share)


def _between(before: Transform, after: Transform, share: float) -> Transform:
    """Return the pose between two: linear in position, slerp in orientation."""
    if share == 0.0 or before.target != after.target:
        return before
    return between(before, after, share)


def _outside(newest: Transform, stamps: list[int], stamp_ns: int) -> FrameError:
    edge = f"{newest.target}_T_{newest.source}"
    if stamp_ns > stamps[-1]:
        return NotYetKnownError(
            "The transform at the capture time is not known yet",
            f"newest {edge} is {(stamp_ns - stamps[-1]) * 1e-6:.1f} ms older than the image",
            "publish it faster, raise tf_timeout_s, or synchronize the clocks",
        )
    return FrameError(
        "The transform at the capture time is no longer known",
        f"oldest {edge} is {(stamps[0] - stamp_ns) * 1e-6:.1f} ms younger than the image",
        "synchronize the clocks of camera and robot, or raise tf_cache_s",
    )


def _checked(found: "Transform | FrameError") -> Transform:
    if isinstance(found, FrameError):
        raise found
    return found
