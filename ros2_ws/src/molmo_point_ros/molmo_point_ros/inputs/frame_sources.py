"""The interface of a source of frames for the pointing node. Waiting never holds up a callback."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform


class FrameSource(ABC):
    """A source of frames: image topics, or a camera that the node opens.

    Attributes:
        pose: Pose of the optical frame in the frame that the camera is mounted in; None if not known.
    """

    pose: Transform | None = None

    @abstractmethod
    def frame(self, after_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """Wait for the newest complete frame captured at `after_ns` or later; None when told to stop.

        Raises:
            GoalError: NO_IMAGE, NO_DEPTH or SYNC_ERROR, if no such frame came in time.
        """

    @abstractmethod
    def newer(self, than_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """Wait for the newest complete frame with a later stamp; None if no such frame came in time.

        If the camera's time was set back by more than a second, return the newest frame of the new time.

        Raises:
            GoalError: NO_IMAGE or NO_DEPTH, if the newest frame cannot be used.
        """

    @abstractmethod
    def at(self, stamp_ns: int) -> RgbdFrame | None:
        """Return the frame with this capture time; None if it is no longer kept.

        Raises:
            GoalError: As `newer`.
        """

    @abstractmethod
    def received(self) -> int:
        """Return the number of color images received."""

    @abstractmethod
    def dropped(self) -> dict[str, int]:
        """Return the number of unusable messages by the words that the diagnostics show."""

    def incompatible_publishers(self) -> int:
        """Return the number of publishers that offer images with an incompatible QoS."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """End the subscriptions, or close the camera."""
