"""A warning if another node has the name of this one: a client reaches either, and parameters are set on both."""

from typing import Any

_PERIOD_S = 2.0


class NameWatch:
    """Looks for a second node of one name while the node runs, and warns once each time that one appears.

    Args:
        node: The node.
    """

    def __init__(self, node: Any) -> None:
        self._node, self._most = node, 1
        self._timer = node.create_timer(_PERIOD_S, self.look)

    def look(self) -> None:
        """Count the nodes of this name, this one included."""
        own = (self._node.get_name(), self._node.get_namespace())
        number = self._node.get_node_names_and_namespaces().count(own)
        if number > self._most:
            name = self._node.get_fully_qualified_name()
            fix = "end one of them, or give it another name with --ros-args -r __node:=NAME"
            self._node.get_logger().warning(f"{number} nodes have the name {name}: {fix}")
        self._most = max(number, 1)
