"""Tree of drafted tokens, with its attention pattern.

A draft is verified in one forward pass. Every node attends to the accepted tokens, to its ancestors
and to itself. So the branches do not affect each other.
"""

from collections.abc import Sequence

import numpy as np

ROOT = -1


class TokenTree:
    """Drafted tokens after the last accepted one.

    Attributes:
        tokens: Token id of each node; a parent comes before its children.
        parents: Index of the parent of each node; `ROOT` for the first tokens.
        label_start: Node after which the drafted labels begin; None without one.
    """

    def __init__(self, limit: int = 64) -> None:
        """Start an empty tree of at most ``limit`` nodes."""
        self.limit = limit
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.label_start: int | None = None
        self._children: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, chain: Sequence[int], parent: int = ROOT) -> int:
        """Add a chain of tokens below ``parent``, sharing existing nodes, and return its last node.

        Tokens beyond the limit are dropped: a short draft costs one pass at most.
        """
        node = parent
        for token in chain:
            child = self._children.get((node, token))
            if child is None:
                if len(self.tokens) >= self.limit:
                    return node
                child = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(node)
                self._children[(node, token)] = child
            node = child
        return node

    def child(self, node: int, token: int) -> int | None:
        """Find the node of ``token`` below ``node``, or None."""
        return self._children.get((node, token))

    def depths(self) -> np.ndarray:
        """Compute the distance (n,) int64 of each node from the last accepted token, 1 for the first."""
        depths = np.empty(len(self.tokens), np.int64)
        for node, parent in enumerate(self.parents):
            depths[node] = 1 if parent == ROOT else depths[parent] + 1
        return depths

    def ancestors(self) -> np.ndarray:
        """Build the mask (n, n) bool of the nodes that a node attends to, including itself."""
        seen = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent != ROOT:
                seen[node] |= seen[parent]
        return seen
