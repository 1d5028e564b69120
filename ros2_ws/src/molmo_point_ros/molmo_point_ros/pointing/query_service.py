"""The service `~/set_query` and the parameter `query`: what continuous mode looks for, and its one run at a time."""

import math
import threading
from collections.abc import Callable
from typing import Any

from molmo_point_msgs.srv import SetQuery

from molmo_point.depth.lift import check_lifting
from molmo_point.errors import MolmoPointError
from molmo_point_ros.nodes.goal_error import CODES, GoalError
from molmo_point_ros.nodes.node_resources import Parts
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.pointing.action_goal import checked_queries
from molmo_point_ros.pointing.continuous import ContinuousMode, Task


class QueryKeeper:
    """Starts and ends continuous mode.

    Args:
        settings: The parameters, read anew for every run.
        logger: The node's.
    """

    def __init__(self, settings: Callable[[], PointingNodeParameters], logger: Any) -> None:
        self._settings, self._logger = settings, logger
        self._lock = threading.Lock()
        self._run: ContinuousMode | None = None
        self._runs = 0
        self._parameter = ""

    @property
    def queries(self) -> tuple[str, ...]:
        """What is looked for now."""
        run = self._run
        return () if run is None else run.task.queries

    def serve(self, request: SetQuery.Request, response: SetQuery.Response, parts: Parts) -> SetQuery.Response:
        """Answer a request of the service."""
        try:
            self.set(tuple(request.queries), request.target_frame, float(request.max_rate), parts, request.prefer or "near")
        except MolmoPointError as error:
            response.message = str(error)
            return response
        response.success = True
        return response

    def set(self, queries: tuple[str, ...], target_frame: str, max_rate_hz: float, parts: Parts, prefer: str = "near") -> None:
        """Look for these from now on; for nothing with none.

        Raises:
            GoalError: GOAL_REJECTED for queries or a rate that cannot be used; what was looked for goes on.
            InputError: For an unknown preference; likewise.
            DependencyError: If points are to be followed and OpenCV is not installed.
        """
        settings = self._settings()
        if not (math.isfinite(max_rate_hz) and max_rate_hz >= 0):
            fix = "send answers per second, or 0 for as many as there are"
            raise GoalError(CODES.GOAL_REJECTED, "The rate cannot be used", f"max_rate {max_rate_hz}", fix)
        check_lifting(prefer, None)
        if queries:
            checked_queries(list(queries), settings.max_query_length)
        queries = tuple(dict.fromkeys(query.strip() for query in queries))
        wanted = (target_frame or settings.target_frame).lstrip("/")
        with self._lock:
            new = None
            if queries:
                task = Task(queries, wanted, max_rate_hz or settings.max_rate_hz, prefer)
                new = ContinuousMode(self._runs + 1, task, parts, settings, self._logger)
            old, self._run = self._run, new
            if old is not None:
                old.stop()
            if new is not None:
                self._runs += 1
                new.start()
        self._logger.info(f"continuous mode looks for {', '.join(map(repr, queries))}" if queries else "continuous mode is off")

    def follow_parameter(self, text: str, parts: Parts) -> None:
        """Look for what the parameter `query` says, if that was changed since the last call."""
        if text == self._parameter:
            return
        self._parameter = text
        queries = tuple(part.strip() for part in text.split(";") if part.strip())
        try:
            self.set(queries, "", 0.0, parts)
        except MolmoPointError as error:
            self._logger.error(f"the parameter query: {error}")

    def stop(self) -> None:
        """End continuous mode; the parameter `query` starts it anew once it is followed again."""
        with self._lock:
            old, self._run = self._run, None
            if old is not None:
                old.stop()
            self._parameter = ""
