"""Keys and values of what was read so far, in buffers that are allocated once.

Each row of the batch has its own length. A forward pass writes its positions behind that length;
`accept` then keeps the positions that turned out right and forgets the others.
"""

from collections.abc import Sequence

import torch

from molmo_point.errors import InputError


class KeyValueCache:
    """The cache of one decoding; goes to the model as ``past_key_values``.

    Args:
        capacity: Most positions per row.
        rows: Rows of the batch.

    Attributes:
        lengths: Positions that count, for each row.
    """

    def __init__(self, capacity: int, rows: int = 1) -> None:
        self.capacity = capacity
        self.lengths = [0] * rows
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []

    def get_seq_length(self, layer_index: int = 0) -> int:
        """Longest row, as transformers' caches call it."""
        return max(self.lengths)

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes new positions behind each row's length.

        Args:
            keys: (rows, heads, new, head width), rotated.
            values: The same shape.
            layer_index: Which layer.

        Returns:
            Keys and values (rows, heads, longest row + new, head width); what lies behind a row's
            own length and new positions is stale and has to be masked.

        Raises:
            InputError: There is no room for them.
        """
        if layer_index == len(self._keys):
            rows, heads, _, width = keys.shape
            # Zeros, not empty memory: masked NaN times zero would still be NaN.
            self._keys.append(keys.new_zeros(rows, heads, self.capacity, width))
            self._values.append(values.new_zeros(rows, heads, self.capacity, width))
        new = keys.shape[2]
        end = max(self.lengths) + new
        if end > self.capacity:
            raise InputError(
                "The cache of this decoding is full",
                f"{end} positions, room for {self.capacity}",
                "give it room for the prompt, the answer and a draft, or ask for fewer tokens",
            )
        held = self._keys[layer_index], self._values[layer_index]
        for buffer, fresh in zip(held, (keys, values), strict=True):
            if len(set(self.lengths)) == 1:
                buffer[:, :, end - new : end] = fresh
            else:
                for row, length in enumerate(self.lengths):
                    buffer[row, :, length : length + new] = fresh[row]
        return held[0][:, :, :end], held[1][:, :, :end]

    def accept(self, kept: Sequence[Sequence[int]]) -> None:
        """Keeps some of the positions of the last pass, in order.

        Args:
            kept: For each row the indices within the last pass (0 = its first position).
        """
        for row, indices in enumerate(kept):
            start = self.lengths[row]
            if list(indices) != list(range(len(indices))):
                source = torch.tensor(indices, device=self._keys[0].device) + start
                for buffer in (*self._keys, *self._values):
                    buffer[row, :, start : start + len(indices)] = buffer[row].index_select(1, source)
            self.lengths[row] = start + len(indices)

    def forked(self, rows: int, length: int, capacity: int) -> "KeyValueCache":
        """A new cache whose rows all begin with the first positions of this one's only row.

        Args:
            rows: How many.
            length: Positions to share.
            capacity: Most positions of each new row.
        """
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
        """Keeps only these rows, in this order."""
        self.lengths = [self.lengths[row] for row in rows]
        for held in (self._keys, self._values):
            for layer, buffer in enumerate(held):
                held[layer] = buffer[list(rows)]
