"""Decision when a growing answer holds everything that was asked for."""

from molmo_point.points.dialects.base import Dialect
from molmo_point.points.incremental_parser import IncrementalParser
from molmo_point.request import PointRequest
from molmo_point.results import ImagePoint


class GrowingAnswer:
    """An answer as far as the model has written it.

    Args:
        size_wh: Width and height of the image in pixels.
        dialect: Syntax of the answer.
        request: The question; its `max_points` and `labels` decide when the answer is enough.

    Attributes:
        enough: Whether the answer holds everything that was asked for.
        finished: Whether the model has ended the answer.
    """

    def __init__(self, size_wh: tuple[int, int], dialect: Dialect, request: PointRequest) -> None:
        self.enough = False
        self.finished = False
        self._parser = IncrementalParser(size_wh, dialect, eager=True)
        self._dialect = dialect
        self._request = request

    @property
    def points(self) -> tuple[ImagePoint, ...]:
        """The wanted points so far."""
        return self._parser.points[: self._request.max_points]

    def read(self, text: str) -> bool:
        """Read the whole text so far.

        Returns:
            Whether there is a new point among the wanted ones.
        """
        told = len(self._parser.points)
        fresh = bool(self._parser.follow(text)) and told < self._request.max_points
        count = len(self._parser.points)
        if self._request.labels:
            # The tag of the last wanted point is complete only when another follows or it ends.
            self.enough = count > self._request.max_points
        else:
            self.enough = count >= self._request.max_points or (count > 0 and self._dialect.has_all_coordinates(text))
        return fresh
