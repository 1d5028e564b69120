"""Says what to do where a publisher and a subscriber cannot meet: without a word, nothing would arrive, ever."""

from collections.abc import Callable
from typing import Any

from rclpy.qos import qos_policy_name_from_kind

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

_INPUT = {
    "RELIABILITY": "set the parameter reliable to false, or let the camera offer its images reliably",
    "DURABILITY": "let the camera publish with volatile or transient-local durability as ROS 2 defines them",
}
_OUTPUT = {
    "DURABILITY": "subscribe with durability volatile: targets are not latched, because nobody is to act on an old one",
    "LIVELINESS": "subscribe with liveliness automatic",
    "DEADLINE": "subscribe without a deadline",
}


def input_events(node: Any, topic: str, on_event: Callable[[], None]) -> SubscriptionEventCallbacks:
    """For a subscription: warns that a publisher's images do not come, and what to do."""

    def incompatible(event: Any) -> None:
        policy = _name(event.last_policy_kind)
        fix = _INPUT.get(policy, f"match the {policy} of publisher and subscriber")
        node.get_logger().warning(f"a publisher of {topic} offers another {policy} than is asked for: it is not heard; {fix}")
        on_event()

    return SubscriptionEventCallbacks(incompatible_qos=incompatible)


def output_events(node: Any, topic: str) -> PublisherEventCallbacks:
    """For a publisher: warns that a subscriber gets nothing, and what it has to ask for."""

    def incompatible(event: Any) -> None:
        policy = _name(event.last_policy_kind)
        fix = _OUTPUT.get(policy, f"match the {policy} of publisher and subscriber")
        node.get_logger().warning(f"a subscriber of {topic} asks for another {policy} than is offered: it gets nothing; {fix}")

    return PublisherEventCallbacks(incompatible_qos=incompatible)


def _name(kind: Any) -> str:
    return qos_policy_name_from_kind(kind).removeprefix("QOS_POLICY_").removeprefix("RMW_QOS_POLICY_")
