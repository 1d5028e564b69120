"""Where the pointing node's frames come from: image topics, or a camera of its own. Waiting never holds up a callback."""

from collections.abc import Callable
from typing import Any, Protocol

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point_ros.inputs.camera_source import CameraSource
from molmo_point_ros.inputs.input_node import InputNode
from molmo_point_ros.inputs.topic_source import TopicSource
from molmo_point_ros.nodes.parameters import PointingNodeParameters


class FrameSource(Protocol):
    """What the node asks for frames."""

    pose: Transform | None

    def frame(self, after_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """The newest complete frame captured at `after_ns` or later, waiting for it; None when told to stop.

        Raises:
            GoalError: NO_IMAGE, NO_DEPTH or SYNC_ERROR, when there is none in time.
        """
        ...

    def newer(self, than_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """The newest complete frame with a later stamp, waiting for it; None when there is none in time.

        Where the camera's time was set back by more than a second, the newest frame of the new time.

        Raises:
            GoalError: NO_IMAGE or NO_DEPTH, when the newest cannot be used.
        """
        ...

    def at(self, stamp_ns: int) -> RgbdFrame | None:
        """The frame with this capture time, if it is still kept.

        Raises:
            GoalError: As `newer`.
        """
        ...

    def received(self) -> int:
        """How many colour images have come."""
        ...

    def dropped(self) -> dict[str, int]:
        """How many messages of each stream could not be used, for the diagnostics."""
        ...

    def close(self) -> None:
        """End the subscriptions, or the camera."""
        ...


def open_source(node: Any, settings: PointingNodeParameters, inputs: InputNode) -> FrameSource:
    """The source that the parameter `camera` names."""
    return TopicSource(inputs, settings) if settings.camera == "topics" else CameraSource(node, settings)
