"""What a configured node has, for everything that answers."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point_ros.inputs.frame_sources import FrameSource
from molmo_point_ros.inputs.input_node import InputNode
from molmo_point_ros.inputs.tf_listener import TransformSource
from molmo_point_ros.nodes.monitor import Monitor
from molmo_point_ros.outputs.publisher import TargetPublisher
from molmo_point_ros.pointing.model_share import ModelShare

REMEMBERED = 8
"""Frames that were answered about stay so long that a program can come back to them by their stamp."""


@dataclass(frozen=True)
class Parts:
    """What a configured node has.

    Attributes:
        pointer: The model.
        frames: The camera.
        transforms: The tree of frames.
        publisher: The outputs.
        inputs: What frames and transforms come through.
        now_ns: The node's time in nanoseconds.
        is_alive: Whether the node still runs.
        model: Turns at the model.
        monitor: For the diagnostics.
        remembered: The last frames that were answered about.
    """

    pointer: Pointer
    frames: FrameSource
    transforms: TransformSource
    publisher: TargetPublisher
    inputs: InputNode
    now_ns: Callable[[], int]
    is_alive: Callable[[], bool]
    model: ModelShare = field(default_factory=ModelShare)
    monitor: Monitor = field(default_factory=Monitor)
    remembered: deque[RgbdFrame] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
