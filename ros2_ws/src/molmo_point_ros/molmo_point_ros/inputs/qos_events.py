"""Warnings about publishers and subscribers with incompatible QoS, and the remedy. Without them nothing arrives silently."""

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
    "DURABILITY": "subscribe with durability volatile: targets are not latched, since no subscriber may act on an old one",
    "LIVELINESS": "subscribe with liveliness automatic",
    "DEADLINE": "subscribe without a deadline",
}


def input_events(node: Any, topic: str, on_event: Callable[[], None]) -> SubscriptionEventCallbacks:
    """Return the events of a subscription: a warning about a publisher that cannot be heard, with the remedy."""

    def incompatible(event: Any) -> None:
        policy = _name(event.last_policy_kind)
        fix = _INPUT.get(policy, f"match the {policy} of publisher and subscriber")
        node.get_logger().warning(f"a publisher of {topic} offers an incompatible {policy}, and is not heard; {fix}")
        on_event()

    return SubscriptionEventCallbacks(incompatible_qos=incompatible)


def no_events() -> SubscriptionEventCallbacks:
    """Return the events of a second subscription, which misses publishers on purpose."""
    return SubscriptionEventCallbacks(use_default_callbacks=False)


def output_events(node: Any, topic: str) -> PublisherEventCallbacks:
    """Return the events of a publisher: a warning about a subscriber that gets nothing, with the remedy."""

    def incompatible(event: Any) -> None:
        policy = _name(event.last_policy_kind)
        fix = _OUTPUT.get(policy, f"match the {policy} of publisher and subscriber")
        node.get_logger().warning(f"a subscriber of {topic} asks for an incompatible {policy}, and gets nothing; {fix}")

    return PublisherEventCallbacks(incompatible_qos=incompatible)


def _name(kind: Any) -> str:
    return qos_policy_name_from_kind(kind).removeprefix("QOS_POLICY_").removeprefix("RMW_QOS_POLICY_")
