"""A tree of drafted tokens, and which of its nodes may see which.

A draft is verified in one forward pass: every node attends to what is accepted already, to its
ancestors and to itself, so that each branch is computed as if it stood alone.
"""

from collections.abc import Sequence

import numpy as np

ROOT = -1


class TokenTree:
    """Drafted tokens that may follow the last accepted one.

    Attributes:
        tokens: Token id of each node; a parent comes before its children.
        parents: Index of each node's parent; `ROOT` for those that follow the accepted text.
    """

    def __init__(self, limit: int = 64) -> None:
        """Starts an empty tree that will not grow beyond ``limit`` nodes."""
        self.limit = limit
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self._children: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, chain: Sequence[int], parent: int = ROOT) -> int:
        """Adds a chain of tokens below ``parent``, sharing what is there; returns its last node.

        What does not fit the limit is left out: a draft may be short, it costs a pass at most.
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
        """The node of ``token`` below ``node``, or None."""
        return self._children.get((node, token))

    def depths(self) -> np.ndarray:
        """Distance of each node from the last accepted token, (n,) int64, 1 for the first."""
        depths = np.empty(len(self.tokens), np.int64)
        for node, parent in enumerate(self.parents):
            depths[node] = 1 if parent == ROOT else depths[parent] + 1
        return depths

    def ancestors(self) -> np.ndarray:
        """(n, n) bool: which nodes a node sees, itself included."""
        seen = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent != ROOT:
                seen[node] |= seen[parent]
        return seen
