"""A node beside a node, with a thread of its own, for what comes often: images and transforms.

rclpy's executors prepare every wait anew with all entities of their nodes: with the thirty of a lifecycle node that
serves actions, one message costs milliseconds. A node with nothing but a few subscriptions costs a fraction of one.
(Kilted's events executor prepares no waits, but hangs for good when another thread makes a subscription.)
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

    It is hidden from `ros2 node list` by its name (`_NAME_inputs`), and has neither parameters nor services. Callbacks
    run one after the other in its thread, and must not block.

    Args:
        owner: The node whose namespace, remappings and context hold.
    """

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self.node = rclpy.create_node(
            f"_{owner.get_name()}_inputs",
            namespace=owner.get_namespace(),
            context=owner.context,
            # Remappings are the owner's: __node would rename this one, too.
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
        """As `Node.create_subscription`, with the topic's name as the owner resolves it."""
        return self.node.create_subscription(kind, self._owner.resolve_topic_name(topic), callback, qos, **options)

    def destroy_subscription(self, subscription: Any) -> None:
        """As `Node.destroy_subscription`."""
        self.node.destroy_subscription(subscription)

    def count_publishers(self, topic: str) -> int:
        """How many publishers a topic has, by its full name."""
        return int(self._owner.count_publishers(topic))

    def get_logger(self) -> Any:
        """The owner's."""
        return self._owner.get_logger()

    def close(self) -> None:
        """End the thread and the subscriptions; may be called more than once."""
        if self.node is None:
            return
        node, self.node = self.node, None
        self._executor.shutdown(timeout_sec=_JOIN_S)
        self._thread.join(_JOIN_S)
        node.destroy_node()
