"""Resources of a configured pointing node."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from molmo_point.depth.alignment_monitor import AlignmentMonitor
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point_ros.inputs.frame_sources import FrameSource
from molmo_point_ros.inputs.input_node import InputNode
from molmo_point_ros.inputs.tf_listener import TransformSource
from molmo_point_ros.nodes.monitor import NodeMonitor
from molmo_point_ros.outputs.publisher import TargetPublisher
from molmo_point_ros.pointing.model_share import ModelShare
from molmo_point_ros.pointing.view_memory import ViewMemory

if TYPE_CHECKING:
    from molmo_point.teaching.taught_layer import TaughtLayer

REMEMBERED = 8
"""Number of answered frames that a program can name by their stamp."""


@dataclass(frozen=True)
class NodeResources:
    """Resources of a configured pointing node, shared by goals and services.

    Attributes:
        loaded: Model and lift, without taught objects.
        frames: Source of frames.
        transforms: The tree of frames.
        publisher: Output topics.
        inputs: Node of the subscriptions to images and transforms.
        now_ns: Returns the node's time in nanoseconds.
        is_alive: Returns false when the node shuts down.
        model: Turns at the model.
        monitor: Figures for the diagnostics.
        remembered: Last frames that were answered.
        views: Last answers about cameras without depth.
        alignment: Comparison of depth with color.
        taught: Taught objects above the model; None without a library.
    """

    loaded: Pointer
    frames: FrameSource
    transforms: TransformSource
    publisher: TargetPublisher
    inputs: InputNode
    now_ns: Callable[[], int]
    is_alive: Callable[[], bool]
    model: ModelShare = field(default_factory=ModelShare)
    monitor: NodeMonitor = field(default_factory=NodeMonitor)
    remembered: deque[RgbdFrame] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    views: ViewMemory = field(default_factory=ViewMemory)
    alignment: AlignmentMonitor = field(default_factory=AlignmentMonitor)
    taught: "TaughtLayer | None" = None

    @property
    def pointer(self) -> Pointer:
        """Model and lift with the taught objects of now."""
        return self.loaded if self.taught is None else self.taught.pointer
