"""A second node with a thread of its own, for frequent messages: images and transforms.

rclpy's executors prepare every wait with all entities of their nodes. With the thirty entities of a lifecycle node that
serves actions, one message costs milliseconds; in a node with a few subscriptions it costs a fraction of one.
(Kilted's events executor prepares no waits, but hangs when another thread makes a subscription.)
"""

import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from molmo_point_ros.nodes.spinning import spin

_JOIN_S = 5.0


class InputNode:
    """Subscriptions of another node, under its names.

    Its name (`_NAME_inputs`) hides it from `ros2 node list`; it has no parameters and no services. Callbacks run one after
    the other in its thread, and must not block.

    Args:
        owner: Node whose namespace, remappings and context apply.
    """

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self.node = rclpy.create_node(
            f"_{owner.get_name()}_inputs",
            namespace=owner.get_namespace(),
            context=owner.context,
            # Remappings are the owner's: __node would rename this node too.
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=[Parameter("start_type_description_service", value=False)],
        )
        self._executor = SingleThreadedExecutor(context=owner.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=spin, args=(self._executor, self.node), name="inputs", daemon=True)
        self._thread.start()

    def create_subscription(self, kind: Any, topic: str, callback: Callable[..., None], qos: Any, **options: Any) -> Any:
        """Subscribe as `Node.create_subscription` does, with the topic name resolved by the owner."""
        return self.node.create_subscription(kind, self._owner.resolve_topic_name(topic), callback, qos, **options)

    def destroy_subscription(self, subscription: Any) -> None:
        """End a subscription."""
        self.node.destroy_subscription(subscription)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call a function in the thread of the callbacks; only there a subscription may be replaced."""
        self._executor.create_task(callback)

    def count_publishers(self, topic: str) -> int:
        """Return the number of publishers of a topic, by its full name."""
        return int(self._owner.count_publishers(topic))

    def topics_like(self, topic: str) -> list[str]:
        """Return the published topics that have the type of a subscribed one, by their full names, without it.

        Its transports, such as `TOPIC/compressed`, come first.
        """
        kinds = dict(self._owner.get_topic_names_and_types())
        wanted, transport = set(kinds.pop(topic, ())), f"{topic}/"
        like = [name for name, types in kinds.items() if name.startswith(transport) or wanted & set(types)]
        like.sort(key=lambda name: (not name.startswith(transport), name))
        return [name for name in like if self.count_publishers(name)]

    def get_logger(self) -> Any:
        """Return the logger of the owner."""
        return self._owner.get_logger()

    def close(self) -> None:
        """End the thread and the subscriptions; may be called repeatedly."""
        if self.node is None:
            return
        node, self.node = self.node, None
        self._executor.shutdown(timeout_sec=_JOIN_S)
        self._thread.join(_JOIN_S)
        node.destroy_node()
