"""Diagnostics of the pointing node: state, speed, and everything that was dropped or stopped."""

import os
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import CallbackGroup

from molmo_point.depth.alignment_check import FIX, AlignmentCheck
from molmo_point.trust.training_description import TrainingDescription
from molmo_point_ros.nodes.monitor import MonitorReadings
from molmo_point_ros.nodes.node_resources import NodeResources

TOPIC = "/diagnostics"
"""Absolute, as everywhere in ROS: one aggregator serves a whole robot."""
_MIB = 2**20


class NodeState(Enum):
    """Lifecycle state of the node; the value is shown."""

    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    ACTIVE = "active"


def memory_mib() -> dict[str, float]:
    """Return the memory of this process, and of torch on its GPU, in MiB."""
    found = {}
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            found["memory MiB"] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB
    except (OSError, ValueError, IndexError):
        pass
    # Not imported here: only a model that uses torch holds memory of it.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["GPU memory MiB"] = torch.cuda.memory_allocated() / _MIB
    return found


def status_message(name: str, state: NodeState, values: Mapping[str, Any], problems: tuple[str, ...]) -> DiagnosticStatus:
    """Return one status: OK, or WARN with the problems."""
    status = DiagnosticStatus(name=name, hardware_id=str(values.get("model", "")))
    status.level = DiagnosticStatus.WARN if problems else DiagnosticStatus.OK
    status.message = "; ".join(problems) or state.value
    status.values = [KeyValue(key=key, value=_text(value)) for key, value in {"state": state.value, **values}.items()]
    return status


def readings_values(readings: MonitorReadings) -> dict[str, Any]:
    """Return the monitor's figures by their names in the diagnostics."""
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
    values["errors"] = readings.errors
    if readings.last_error:
        values["last error"] = readings.last_error
    if readings.last_cautions:
        values["last cautions"] = readings.last_cautions
    return values


def alignment_values(check: AlignmentCheck | None) -> dict[str, Any]:
    """Return the displacement of color from depth by its names in the diagnostics; empty where the edges cannot tell."""
    if check is None or not check.can_tell:
        return {}
    values: dict[str, Any] = {"depth shift, frames": check.frames}
    for axis, shift_px, sigma_px in zip("uv", check.shift_px, check.sigma_px, strict=True):
        values[f"depth shift {axis} px"], values[f"depth shift {axis} px, sigma"] = shift_px, sigma_px
    return values


class Diagnostics:
    """Publishes the node's status while it lives, active or not.

    Args:
        node: The node.
        period_s: Time between two messages in seconds; 0 publishes none.
        resources: Returns the resources of the node; None while it is not configured.
        state: Returns the lifecycle state.
        doing: Returns the goal and the queries at work, by name.
        group: Callback group of the timer.
    """

    def __init__(
        self,
        node: Any,
        period_s: float,
        resources: Callable[[], NodeResources | None],
        state: Callable[[], NodeState],
        doing: Callable[[], Mapping[str, str]],
        group: CallbackGroup,
    ) -> None:
        self._node, self._resources, self._state, self._doing = node, resources, state, doing
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
        """Return the current status."""
        name = f"{self._node.get_fully_qualified_name().lstrip('/')}: pointing"
        resources, state = self._resources(), self._state()
        if resources is None:
            return status_message(name, state, memory_mib(), ())
        readings = resources.monitor.readings()
        backend = resources.pointer.backend
        values: dict[str, Any] = {"model": backend.name, "vocabulary": _vocabulary(backend.training), **self._doing()}
        values["frames received"] = resources.frames.received()
        values.update({words: number for words, number in resources.frames.dropped().items() if number})
        if resources.frames.incompatible_publishers():
            values["publishers with incompatible QoS"] = resources.frames.incompatible_publishers()
        values.update(readings_values(readings))
        values.update(alignment_values(resources.alignment.check))
        age_s = self._transform_age_s(resources, readings)
        if age_s is not None:
            values["transform age s"] = age_s
        values.update(memory_mib())
        return status_message(name, state, values, self._problems(state, resources, readings))

    def _problems(self, state: NodeState, resources: NodeResources, readings: MonitorReadings) -> tuple[str, ...]:
        """Return the problems since the last message."""
        received, errors = resources.frames.received(), readings.errors
        # One period without an image may be a slow camera; two are a problem.
        came, before = received != self._received, self._images_came
        new_errors = errors - self._errors
        self._received, self._errors, self._images_came = received, errors, came
        problems = []
        if state is NodeState.ACTIVE and not came and not before:
            problems.append("no images arrive")
        if new_errors > 0:
            problems.append(f"{new_errors} errors, the last: {readings.last_error}")
        check = resources.alignment.check
        if readings.depth_doubt or (check is not None and check.misaligned):
            told = readings.depth_doubt or f"{check.sentence if check else ''}; {FIX}"
            problems.append(f"depth does not belong to the color image: {told}")
        if resources.frames.incompatible_publishers():
            problems.append("a camera offers images with an incompatible QoS")
        return tuple(problems)

    def _transform_age_s(self, resources: NodeResources, readings: MonitorReadings) -> float | None:
        target = str(self._node.get_parameter("target_frame").value).lstrip("/")
        if not target or not readings.frame:
            return None
        newest_ns = resources.transforms.newest_ns(target, readings.frame)
        return None if newest_ns is None else (resources.now_ns() - newest_ns) * 1e-9


def _vocabulary(training: TrainingDescription) -> str:
    """Return the size of the vocabulary, e.g. "8 colors, 4 shapes"; "not described" without one."""
    words = training.vocabulary
    if words is None:
        return "not described"
    return ", ".join(f"{len(group)} {name}" for name, group in words.groups.items())


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
