"""How old a target is, and where it is now that the camera has moved.

A target belongs to the moment at which its picture was taken. An answer takes seconds, so the transform of "now" puts
it in the wrong place; these functions take the one at capture.
"""

from collections.abc import Iterable

from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.poses import PoseHistory
from molmo_point.results import Target


def age_s(target: Target, now_ns: int) -> float:
    """Seconds since the target's picture was taken, by the clock that stamps the frames.

    Raises:
        InputError: If the capture lies in the future: the two times are of different clocks.
    """
    age = (now_ns - target.stamp_ns) * 1e-9
    if age < 0.0:
        raise InputError(
            "The target was captured in the future: two clocks are mixed",
            f"stamp {target.stamp_ns} ns, now {now_ns} ns, {-age:.3f} s ahead",
            "take now_ns from the clock that stamps the frames (in simulation, the simulated one)",
        )
    return age


def require_fresh(target: Target, now_ns: int, max_age_s: float) -> Target:
    """The target, if it is not too old to act on.

    Raises:
        InputError: If it is older than `max_age_s`, was captured in the future, or the limit is not above zero.
    """
    if not max_age_s > 0:
        raise InputError("The largest age must be above zero", f"max_age_s={max_age_s}", "give seconds, e.g. 5.0")
    age = age_s(target, now_ns)
    if age > max_age_s:
        raise InputError(
            f"The target {target.label!r} is too old to act on",
            f"{age:.3f} s since its picture was taken, allowed {max_age_s:g} s",
            "ask again, or allow more if nothing moves",
        )
    return target


def fresh(targets: Iterable[Target], now_ns: int, max_age_s: float) -> tuple[Target, ...]:
    """Those targets that are not older than `max_age_s`; errors as `age_s`."""
    return tuple(target for target in targets if age_s(target, now_ns) <= max_age_s)


def at_capture(target: Target, history: PoseHistory) -> Target:
    """The target in the fixed frame, by the camera's pose when its picture was taken.

    Args:
        target: In the camera's optical frame.
        history: Poses of that camera.

    Raises:
        FrameError: If the history is of another camera.
        InputError: If the pose at capture is not known.
    """
    if target.frame != history.source:
        raise FrameError(
            "The poses are not of the target's camera",
            f"target in {target.frame!r}, poses {history.target}_T_{history.source}",
            f"use the history of {target.frame!r}",
        )
    return target.transformed(history.at(target.stamp_ns))


def seen_from_now(target: Target, history: PoseHistory, now_ns: int) -> Target:
    """The target in the camera's frame as the camera stands at `now_ns`, for an arm that servoes by its camera.

    `stamp_ns` stays the capture time: moving the camera makes nothing newer. Arguments and errors as `at_capture`.
    """
    in_fixed = at_capture(target, history)
    return in_fixed.transformed(history.at(now_ns).inverse())
