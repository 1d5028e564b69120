"""The cache keeps what was accepted, in order, for each row, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from molmo_point.errors import InputError
from molmo_point.model.decoding.kv_cache import KeyValueCache

HEADS, WIDTH, LAYERS = 2, 4, 3


def fresh(marks: list[list[int]]) -> torch.Tensor:
    """(rows, heads, new, width) whose numbers tell which position, head and channel they are of."""
    parts = torch.arange(HEADS)[:, None, None] * 0.25 + torch.arange(WIDTH) * 0.03125
    return torch.tensor(marks, dtype=torch.float32)[:, None, :, None] + parts


def write(cache: KeyValueCache, marks: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    for layer in range(LAYERS):
        out = cache.update(fresh(marks) + 1000 * layer, -fresh(marks) - 1000 * layer, layer)
    return out


def held(cache: KeyValueCache) -> list[list[int]]:
    """What each row holds, in marks; every layer, head and channel has to agree."""
    lengths, rows = list(cache.lengths), []
    for row, length in enumerate(lengths):
        marks = []
        for layer in range(LAYERS):
            # A pass that nothing of is accepted shows what is there.
            keys, values = cache.update(
                torch.full((len(lengths), HEADS, 1, WIDTH), -7.0), torch.full((len(lengths), HEADS, 1, WIDTH), -7.0), layer
            )
            mine = keys[row, :, :length] - 1000 * layer
            assert torch.equal(-values[row, :, :length] - 1000 * layer, mine)
            marks.append(mine[0, :, 0].int().tolist())
            assert torch.equal(mine, fresh([marks[-1]])[0])
        assert all(m == marks[0] for m in marks)
        rows.append(marks[0])
    return rows


def test_positions_come_behind_what_is_kept() -> None:
    cache = KeyValueCache(12)
    keys, values = write(cache, [[10, 11, 12, 13]])
    assert keys.shape == values.shape == (1, HEADS, 4, WIDTH)
    assert cache.lengths == [0] and cache.get_seq_length() == 0
    cache.accept([[0, 1, 2]])
    assert (cache.lengths, cache.get_seq_length(), held(cache)) == ([3], 3, [[10, 11, 12]])
    keys, _ = write(cache, [[20, 21]])
    assert (keys[0, 0, :, 0] - 2000).tolist() == [10, 11, 12, 20, 21]
    cache.accept([[]])
    assert held(cache) == [[10, 11, 12]]


@pytest.mark.parametrize("kept", [[0, 2, 5], [0, 1, 4], [0, 1, 2, 3], [1], [2, 3], [0], [0, 3, 4, 5]])
def test_gaps_are_closed(kept: list[int]) -> None:
    cache = KeyValueCache(12)
    write(cache, [[1, 2, 3]])
    cache.accept([range(3)])
    write(cache, [[10, 11, 12, 13, 14, 15]])
    cache.accept([kept])
    assert held(cache) == [[1, 2, 3, *(10 + i for i in kept)]]


def test_rows_have_their_own_lengths() -> None:
    cache = KeyValueCache(20, rows=3)
    write(cache, [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
    cache.accept([[0, 1, 2, 3], [0, 2], [0]])
    assert held(cache) == [[1, 2, 3, 4], [5, 7], [9]]
    keys, _ = write(cache, [[20, 21, 22], [30, 31, 32], [40, 41, 42]])
    assert keys.shape[2] == 4 + 3
    assert (keys[1, 0, :5, 0] - 2000).tolist() == [5, 7, 30, 31, 32]
    assert (keys[2, 1, :4, 0] - 2000).tolist() == [9.25, 40.25, 41.25, 42.25]
    cache.accept([[0, 2], [], [1]])
    assert held(cache) == [[1, 2, 3, 4, 20, 22], [5, 7], [9, 41]]
    assert cache.get_seq_length() == 6


def test_select_keeps_rows_in_the_asked_order() -> None:
    cache = KeyValueCache(8, rows=3)
    write(cache, [[1, 2, 7], [3, 4, 8], [5, 6, 9]])
    cache.accept([[0], [0, 1], [0, 1, 2]])
    cache.select([2, 1])
    assert (cache.lengths, held(cache)) == ([3, 2], [[5, 6, 9], [3, 4]])


def test_forks_share_a_beginning_and_nothing_afterwards() -> None:
    cache = KeyValueCache(6)
    write(cache, [[1, 2, 3, 4]])
    cache.accept([range(4)])
    fork = cache.forked(2, 3, 9)
    assert (fork.lengths, fork.capacity, held(fork)) == ([3, 3], 9, [[1, 2, 3]] * 2)
    write(fork, [[10, 11], [20, 21]])
    fork.accept([[1], [0, 1]])
    assert held(fork) == [[1, 2, 3, 11], [1, 2, 3, 20, 21]]
    assert held(cache) == [[1, 2, 3, 4]]


def test_dtype_and_heads_are_those_of_what_is_written() -> None:
    cache = KeyValueCache(4)
    keys, values = cache.update(torch.ones(1, 3, 2, 5, dtype=torch.bfloat16), torch.ones(1, 3, 2, 5, dtype=torch.bfloat16), 0)
    assert (keys.dtype, keys.shape, values.shape) == (torch.bfloat16, (1, 3, 2, 5), (1, 3, 2, 5))


@pytest.mark.parametrize("lengths", [[0], [3], [3, 1]])
def test_a_full_cache_says_so(lengths: list[int]) -> None:
    cache = KeyValueCache(5, rows=len(lengths))
    if lengths != [0]:
        write(cache, [[1, 2, 3]] * len(lengths))
        cache.accept([range(n) for n in lengths])
    room = 5 - max(lengths)
    write(cache, [[7] * room] * len(lengths))
    with pytest.raises(InputError, match=rf"5 positions.*{max(lengths) + room + 1} positions"):
        write(cache, [[7] * (room + 1)] * len(lengths))


@pytest.mark.parametrize("flavor", ["qwen2", "olmoe"])
def test_pieces_give_the_official_logits(golden: Callable[[str], Any], flavor: str) -> None:
    case = golden(flavor)
    model, ids = case.model(), case.inputs["input_ids"]
    cache, logits, start = KeyValueCache(60), [], 0
    with torch.inference_mode():
        for length in (16, 1, 9, 1, 1, 12):
            piece = {"input_ids": ids[:, start : start + length]}
            if start == 0:
                piece |= {name: case.inputs[name] for name in ("images", "image_masks", "image_input_idx")}
            # Twice: the first time nothing is accepted and nothing may remain of it.
            model(**piece, past_key_values=cache)
            logits.append(model(**piece, past_key_values=cache).logits)
            cache.accept([range(length)])
            start += length
    torch.testing.assert_close(torch.cat(logits, 1), case.logits, rtol=0, atol=3e-5)
    assert cache.lengths == [40]
