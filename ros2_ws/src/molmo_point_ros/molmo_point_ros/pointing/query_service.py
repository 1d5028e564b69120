"""The queries of continuous mode: the service `~/set_query`, the parameter `query`, and one run at a time."""

import math
import threading
from collections.abc import Callable
from typing import Any

from molmo_point_msgs.srv import SetQuery

from molmo_point.errors import InputError, MolmoPointError
from molmo_point.request import PointRequest, Surface
from molmo_point_ros.conversions.field_checks import checked_frame, checked_queries
from molmo_point_ros.nodes.goal_error import brief
from molmo_point_ros.nodes.node_resources import NodeResources
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.pointing.continuous import ContinuousMode, ContinuousTask


class QueryKeeper:
    """Starts and ends continuous mode.

    Args:
        parameters: Returns the current parameters, for every run.
        logger: Of the node.
    """

    def __init__(self, parameters: Callable[[], PointingNodeParameters], logger: Any) -> None:
        self._parameters, self._logger = parameters, logger
        self._lock = threading.Lock()
        self._run: ContinuousMode | None = None
        self._runs = 0
        self._last_text = ""

    @property
    def queries(self) -> tuple[str, ...]:
        """Queries at work."""
        run = self._run
        return () if run is None else tuple(request.words for request in run.task.requests)

    def serve(self, request: SetQuery.Request, response: SetQuery.Response, resources: NodeResources) -> SetQuery.Response:
        """Answer a request of the service."""
        try:
            self.set(tuple(request.queries), request.target_frame, float(request.max_rate), resources, request.prefer)
        except MolmoPointError as error:
            response.message = brief(str(error))
            return response
        response.success = True
        return response

    def set(
        self, queries: tuple[str, ...], target_frame: str, max_rate_hz: float, resources: NodeResources, prefer: str = ""
    ) -> None:
        """Answer these queries from now on; no queries end continuous mode.

        Raises:
            InputError: For queries, a frame, a rate or a preference that cannot be used; the old queries stay.
            DependencyError: If points are to be tracked and OpenCV is not installed.
        """
        parameters = self._parameters()
        if not (math.isfinite(max_rate_hz) and max_rate_hz >= 0):
            fix = "send answers per second, or 0 for as many as there are"
            raise InputError("max_rate must be finite and not negative", str(max_rate_hz), fix)
        surface = Surface(prefer or Surface.NEAR)
        wanted = checked_frame(target_frame) or checked_frame(parameters.target_frame)
        words = dict.fromkeys(checked_queries(queries, parameters.max_query_length) if queries else ())
        requests = tuple(PointRequest(each, max_points=parameters.max_points, prefer=surface) for each in words)
        with self._lock:
            new = None
            if requests:
                task = ContinuousTask(requests, wanted, max_rate_hz or parameters.max_rate_hz)
                new = ContinuousMode(self._runs + 1, task, resources, parameters, self._logger)
            old, self._run = self._run, new
            if old is not None:
                old.stop()
            if new is not None:
                self._runs += 1
                new.start()
        self._logger.info(f"continuous mode answers {', '.join(map(repr, words))}" if words else "continuous mode is off")

    def follow_parameter(self, text: str, resources: NodeResources) -> None:
        """Answer the queries of the parameter `query` if it changed since the last call."""
        if text == self._last_text:
            return
        self._last_text = text
        queries = tuple(part.strip() for part in text.split(";") if part.strip())
        try:
            self.set(queries, "", 0.0, resources)
        except MolmoPointError as error:
            self._logger.error(f"the parameter query: {brief(str(error))}")

    def stop(self) -> None:
        """End continuous mode; the next `follow_parameter` starts it again."""
        with self._lock:
            old, self._run = self._run, None
            if old is not None:
                old.stop()
            self._last_text = ""
