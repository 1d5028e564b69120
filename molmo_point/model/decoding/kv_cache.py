"""Key-value cache in buffers that are allocated once.

Each row has its own length, after which a pass writes; `accept` then keeps the correct positions and drops the others.
"""

from collections.abc import Sequence

import torch

from molmo_point.errors import InputError


class KeyValueCache:
    """Cache of one decoding, passed to the model as ``past_key_values``.

    Args:
        capacity: Largest number of positions per row.
        rows: Number of rows of the batch.

    Attributes:
        lengths: Number of valid positions of each row.
    """

    def __init__(self, capacity: int, rows: int = 1) -> None:
        self.capacity = capacity
        self.lengths = [0] * rows
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []

    def get_seq_length(self, layer_index: int = 0) -> int:
        """Return the length of the longest row, under the name of transformers' caches."""
        return max(self.lengths)

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new keys and values (rows, heads, new, head width) after the length of each row; InputError beyond the capacity.

        Returns both as (rows, heads, longest row + new, head width). Positions after a row's own length and its new positions
        are stale and must be masked.
        """
        if layer_index == len(self._keys):
            rows, heads, _, width = keys.shape
            # Zeros instead of empty memory, because a masked NaN times zero is still NaN.
            self._keys.append(keys.new_zeros(rows, heads, self.capacity, width))
            self._values.append(values.new_zeros(rows, heads, self.capacity, width))
        new = keys.shape[2]
        end = max(self.lengths) + new
        if end > self.capacity:
            fix = "make room for the prompt, the answer and a draft, or ask for fewer tokens"
            raise InputError(f"The cache must hold at most {self.capacity} positions", f"{end} positions", fix)
        held = self._keys[layer_index], self._values[layer_index]
        for buffer, fresh in zip(held, (keys, values), strict=True):
            if len(set(self.lengths)) == 1:
                buffer[:, :, end - new : end] = fresh
            else:
                for row, length in enumerate(self.lengths):
                    buffer[row, :, length : length + new] = fresh[row]
        return held[0][:, :, :end], held[1][:, :, :end]

    def accept(self, kept: Sequence[Sequence[int]]) -> None:
        """Keep some positions of the last pass, in order: for each row the indices within the pass."""
        for row, indices in enumerate(kept):
            start = self.lengths[row]
            if list(indices) != list(range(len(indices))):
                source = torch.tensor(indices, device=self._keys[0].device) + start
                for buffer in (*self._keys, *self._values):
                    buffer[row, :, start : start + len(indices)] = buffer[row].index_select(1, source)
            self.lengths[row] = start + len(indices)

    def forked(self, rows: int, length: int, capacity: int) -> "KeyValueCache":
        """Copy the first ``length`` positions of the only row to every row of a new cache of ``capacity`` positions."""
        assert len(self.lengths) == 1 and length <= capacity
        other = KeyValueCache(capacity)
        other.lengths = [length] * rows
        for held, copies in ((self._keys, other._keys), (self._values, other._values)):
            for buffer in held:
                fresh = buffer.new_zeros(rows, buffer.shape[1], capacity, buffer.shape[3])
                fresh[:, :, :length] = buffer[:, :, :length]
                copies.append(fresh)
        return other

    def select(self, rows: Sequence[int]) -> None:
        """Keep only these rows, in this order."""
        self.lengths = [self.lengths[row] for row in rows]
        for held in (self._keys, self._values):
            for layer, buffer in enumerate(held):
                held[layer] = buffer[list(rows)]
