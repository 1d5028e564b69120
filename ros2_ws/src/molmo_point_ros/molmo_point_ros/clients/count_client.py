"""A blocking client of the action `~/count_objects`."""

from typing import Any

from molmo_point_msgs.action import CountObjects
from rclpy.node import Node

from molmo_point_ros.clients.action_caller import ActionCaller, duration_message
from molmo_point_ros.nodes.goal_error import answered


class CountClient(ActionCaller):
    """Sends CountObjects goals and waits for the answers.

    Args:
        node: Your node; see `ActionCaller`.
        server: Name of the pointing node, relative to the node's namespace, or absolute.
    """

    def __init__(self, node: Node | None = None, server: str = "molmo_point") -> None:
        super().__init__(CountObjects, f"{server}/count_objects", node)

    def count(
        self, query: str, *, samples: int = 1, interval_s: float = 0.0, timeout_s: float = 60.0, **fields: Any
    ) -> CountObjects.Result:
        """Count the objects named in words.

        Args:
            query: Objects to count.
            samples: Number of images.
            interval_s: Least time between two images, in seconds.
            timeout_s: Timeout in seconds, including the wait for the node.
            **fields: return_points, target_frame, max_points of the goal.

        Returns:
            The result: `count`, from `count_min` to `count_max`, `agreement`, `points_agree`, `points`.

        Raises:
            GoalError: Without an answer; `code` is one of `ErrorCode`.
        """
        goal = CountObjects.Goal(query=query, samples=samples, interval=duration_message(interval_s, "interval_s"), **fields)

        def in_time(left_s: float) -> CountObjects.Goal:
            goal.timeout = duration_message(left_s)
            return goal

        return answered(self.call(in_time, timeout_s))
