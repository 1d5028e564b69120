"""What the node tells on /diagnostics about itself: state, speed, and everything that was left out or stopped."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import CallbackGroup

from molmo_point_ros.nodes.monitor import Readings
from molmo_point_ros.nodes.node_resources import Parts

TOPIC = "/diagnostics"
"""Absolute, as everywhere in ROS: one aggregator for a whole robot."""
_MIB = 2**20


def memory_mib() -> dict[str, float]:
    """Memory that this process holds, and that torch holds on its GPU where there is one."""
    found = {}
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            found["memory MiB"] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB
    except (OSError, ValueError, IndexError):
        pass
    # Not imported here: only a model that uses torch has memory of it.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["GPU memory MiB"] = torch.cuda.memory_allocated() / _MIB
    return found


def status_message(name: str, state: str, values: Mapping[str, Any], problems: tuple[str, ...]) -> DiagnosticStatus:
    """One status: OK, or WARN with what is wrong."""
    status = DiagnosticStatus(name=name, hardware_id=str(values.get("model", "")))
    status.level = DiagnosticStatus.WARN if problems else DiagnosticStatus.OK
    status.message = "; ".join(problems) or state
    status.values = [KeyValue(key=key, value=_text(value)) for key, value in {"state": state, **values}.items()]
    return status


def readings_values(readings: Readings) -> dict[str, Any]:
    """The monitor's figures by the names that they are told with."""
    values: dict[str, Any] = {}
    if readings.inference_s:
        values["inference s, last"] = readings.inference_s[-1]
        values["inference s, median"] = float(np.median(readings.inference_s))
    if readings.latency_s:
        half, most = np.percentile(readings.latency_s, [50, 99])
        values.update({"capture to output s, median": float(half), "capture to output s, 99 %": float(most)})
    if readings.skew_s is not None:
        values["skew of depth s"] = readings.skew_s
    if readings.depth_fill is not None:
        values["depth fill"] = readings.depth_fill
    values.update(sorted(readings.counts.items()))
    if readings.last_error:
        values["last error"] = readings.last_error
    return values


class Diagnostics:
    """Publishes the node's status while it lives, active or not.

    Args:
        node: The node.
        period_s: Time between two messages; 0 publishes none.
        parts: What the node has, None while it is not configured.
        state: The lifecycle state in words.
        doing: What is worked on, by name.
        group: Of the timer.
    """

    def __init__(
        self,
        node: Any,
        period_s: float,
        parts: Callable[[], Parts | None],
        state: Callable[[], str],
        doing: Callable[[], Mapping[str, str]],
        group: CallbackGroup,
    ) -> None:
        self._node, self._parts, self._state, self._doing = node, parts, state, doing
        self._received, self._errors, self._images_came = 0, 0, True
        if period_s > 0:
            self._publisher = node.create_publisher(DiagnosticArray, TOPIC, 10)
            self._timer = node.create_timer(period_s, self.publish, callback_group=group)

    def publish(self) -> None:
        """Publish one message."""
        message = DiagnosticArray(status=[self.status()])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def status(self) -> DiagnosticStatus:
        """The status now."""
        name = f"{self._node.get_fully_qualified_name().lstrip('/')}: pointing"
        parts, state = self._parts(), self._state()
        if parts is None:
            return status_message(name, state, memory_mib(), ())
        readings = parts.monitor.readings()
        values: dict[str, Any] = {"model": parts.pointer.backend.name, **self._doing()}
        values["frames received"] = parts.frames.received()
        values.update({what: number for what, number in parts.frames.dropped().items() if number})
        values.update(readings_values(readings))
        age_s = self._transform_age_s(parts, readings)
        if age_s is not None:
            values["transform age s"] = age_s
        values.update(memory_mib())
        return status_message(name, state, values, self._problems(state, parts, readings))

    def _problems(self, state: str, parts: Parts, readings: Readings) -> tuple[str, ...]:
        """What went wrong since the last message."""
        received, errors = parts.frames.received(), readings.counts["errors"]
        # One period may just have missed an image of a slow camera; two are a silence.
        came, before = received != self._received, self._images_came
        new_errors = errors - self._errors
        self._received, self._errors, self._images_came = received, errors, came
        problems = []
        if state == "active" and not came and not before:
            problems.append("no image comes")
        if new_errors > 0:
            problems.append(f"{new_errors} errors, the last: {readings.last_error}")
        if parts.frames.dropped().get("publishers with incompatible QoS"):
            problems.append("a camera offers images with another QoS than is asked for")
        return tuple(problems)

    def _transform_age_s(self, parts: Parts, readings: Readings) -> float | None:
        target = str(self._node.get_parameter("target_frame").value).lstrip("/")
        if not target or not readings.frame:
            return None
        newest_ns = parts.transforms.newest_ns(target, readings.frame)
        return None if newest_ns is None else (parts.now_ns() - newest_ns) * 1e-9


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
