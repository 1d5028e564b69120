"""Age of a target, and its position after the camera has moved.

A target belongs to the capture time of its image. An answer takes seconds, so the present camera pose gives a wrong
position. These functions take the pose at capture.
"""

from collections.abc import Iterable

from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.poses import PoseHistory
from molmo_point.results import Target


def age_s(target: Target, now_ns: int) -> float:
    """Return the seconds since the target's image was captured, by the clock that stamps the frames.

    Raises:
        InputError: If the capture lies in the future, so the two times come from different clocks.
    """
    age = (now_ns - target.stamp_ns) * 1e-9
    if age < 0.0:
        raise InputError(
            "now_ns must not be before the target's capture time",
            f"stamp {target.stamp_ns} ns, now {now_ns} ns, {-age:.3f} s ahead",
            "take now_ns from the clock that stamps the frames (in simulation, the simulated clock)",
        )
    return age


def require_fresh(target: Target, now_ns: int, max_age_s: float) -> Target:
    """Return the target if it is fresh enough to act on.

    Raises:
        InputError: If it is older than `max_age_s`, was captured in the future, or the limit is not above zero.
    """
    if not max_age_s > 0:
        raise InputError("max_age_s must be above zero", f"{max_age_s}", "give seconds, e.g. 5.0")
    age = age_s(target, now_ns)
    if age > max_age_s:
        raise InputError(
            f"The target {target.label!r} must be at most {max_age_s:g} s old",
            f"{age:.3f} s since its image was captured",
            "ask again, or allow more if nothing moves",
        )
    return target


def fresh(targets: Iterable[Target], now_ns: int, max_age_s: float) -> tuple[Target, ...]:
    """Return the targets that are at most `max_age_s` old; errors as `age_s`."""
    return tuple(target for target in targets if age_s(target, now_ns) <= max_age_s)


def at_capture(target: Target, history: PoseHistory) -> Target:
    """Transform a target to the fixed frame with the camera pose at capture.

    Args:
        target: Target in the camera's optical frame.
        history: Poses of that camera.

    Raises:
        FrameError: If the history belongs to another camera.
        InputError: If the pose at capture is not known.
    """
    if target.frame != history.source:
        raise FrameError(
            "history must hold the poses of the target's camera",
            f"target in {target.frame!r}, poses {history.target}_T_{history.source}",
            f"use the history of {target.frame!r}",
        )
    return target.transformed(history.at(target.stamp_ns))


def seen_from_now(target: Target, history: PoseHistory, now_ns: int) -> Target:
    """Transform a target to the camera's frame at `now_ns`, for an arm that servos by its camera.

    `stamp_ns` stays the capture time. Arguments and errors as `at_capture`.
    """
    in_fixed = at_capture(target, history)
    return in_fixed.transformed(history.at(now_ns).inverse())
