"""The tree of drafts, who sees whom in it, and that a pass over it is each branch computed alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from molmo_point.model.decoding.decoder import attention_mask
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.token_tree import ROOT, TokenTree

GOAL = 3e-5


def random_tree(seed: int, chains: int = 5, vocabulary: int = 300, limit: int = 64) -> TokenTree:
    """Chains that start at the root or at some node, and share what they have in common."""
    rng = np.random.default_rng(seed)
    tree = TokenTree(limit)
    for _ in range(chains):
        parent = int(rng.integers(-1, len(tree))) if len(tree) else ROOT
        tree.add(rng.integers(0, vocabulary, int(rng.integers(1, 5))).tolist(), parent)
    return tree


def path_to(tree: TokenTree, node: int) -> list[int]:
    """Nodes from the first drafted token to ``node``."""
    path = []
    while node != ROOT:
        path.append(node)
        node = tree.parents[node]
    return path[::-1]


def test_common_beginnings_are_shared() -> None:
    tree = TokenTree()
    assert tree.add([5, 6, 7]) == 2
    assert tree.add([5, 6, 8]) == 3
    assert tree.add([9]) == 4
    assert tree.add([5, 6, 7]) == 2
    assert tree.add([8], parent=0) == 5
    assert tree.add([]) == ROOT
    assert tree.tokens == [5, 6, 7, 8, 9, 8]
    assert tree.parents == [ROOT, 0, 1, 1, ROOT, 0]
    assert tree.depths().tolist() == [1, 2, 3, 3, 1, 2]
    assert (tree.child(ROOT, 5), tree.child(1, 8), tree.child(0, 8), tree.child(ROOT, 8)) == (0, 3, 5, None)


def test_the_limit_cuts_and_never_raises() -> None:
    tree = TokenTree(limit=3)
    assert tree.add([1, 2]) == 1
    assert tree.add([1, 3, 4]) == 2
    assert tree.add([7]) == ROOT
    assert tree.add([1, 2, 9]) == 1
    assert (len(tree), tree.tokens) == (3, [1, 2, 3])
    assert len(TokenTree(0).depths()) == 0 and TokenTree(0).ancestors().shape == (0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_ancestors_and_depths_are_those_of_the_paths(seed: int) -> None:
    tree = random_tree(seed, chains=8)
    seen, depths = tree.ancestors(), tree.depths()
    for node in range(len(tree)):
        path = path_to(tree, node)
        assert np.flatnonzero(seen[node]).tolist() == path
        assert depths[node] == len(path)
        assert all(tree.parents[child] < child for child in path)


# --- The mask ---------------------------------------------------------------------------------------------------


def naive_sees(
    row: int, query: int, key: int, pending: Sequence[Sequence[int]], trees: Sequence[TokenTree], lengths: Sequence[int]
) -> bool:
    """One entry of the mask, from its definition."""
    n, start = len(pending[row]), lengths[row]
    if query >= n + len(trees[row]):
        return key == 0
    if key < start:
        return True
    key -= start
    if key < n:
        return key <= query
    return key < n + len(trees[row]) and query >= n and (key - n) in path_to(trees[row], query - n)


@pytest.mark.parametrize(
    ("pending", "chains", "lengths"),
    [
        ([4], [3], [0]),
        ([1], [6], [9]),
        ([7], [0], [5]),
        ([1, 1, 1], [4, 0, 2], [9, 3, 6]),
        ([5, 2], [0, 0], [0, 0]),
        ([3, 6, 1], [0, 2, 7], [12, 12, 12]),
    ],
)
def test_mask_is_that_of_the_definition(pending: list[int], chains: list[int], lengths: list[int]) -> None:
    trees = [random_tree(seed, chains=count) for seed, count in enumerate(chains)]
    tokens = [[0] * n for n in pending]
    mask = attention_mask(tokens, trees, lengths)
    width = max(n + len(t) for n, t in zip(pending, trees))
    assert mask is not None and mask.dtype == torch.bool
    assert mask.shape == (len(pending), 1, width, max(lengths) + width)
    for row in range(len(pending)):
        for query in range(width):
            expected = [naive_sees(row, query, key, tokens, trees, lengths) for key in range(mask.shape[3])]
            assert mask[row, 0, query].tolist() == expected, (row, query)
    assert bool(mask.any(-1).all()), "a row that sees nothing is NaN"


def test_plain_causal_passes_need_no_mask() -> None:
    assert attention_mask([[1, 2, 3]], [TokenTree()], [0]) is None
    assert attention_mask([[1]], [TokenTree()], [7]) is None
    assert attention_mask([[1, 2]], [TokenTree()], [7]) is not None
    assert attention_mask([[1], [2]], [TokenTree(), TokenTree()], [7, 7]) is not None


# --- A tree pass against each branch alone ----------------------------------------------------------------------


@torch.inference_mode()
def tree_pass(
    model: Any,
    pending: Sequence[Sequence[int]],
    trees: Sequence[TokenTree],
    cache: KeyValueCache,
    image: Sequence[torch.Tensor] | None,
) -> torch.Tensor:
    """Logits of every position; the positions are counted here, not by the decoder."""
    width = max(len(p) + len(t) for p, t in zip(pending, trees))
    ids, places = torch.zeros(len(pending), width, dtype=torch.long), torch.zeros(len(pending), width, dtype=torch.long)
    for row, (tokens, tree) in enumerate(zip(pending, trees)):
        start = cache.lengths[row]
        counted = [
            *range(start, start + len(tokens)),
            *(start + len(tokens) - 1 + len(path_to(tree, i)) for i in range(len(tree))),
        ]
        ids[row, : len(counted)] = torch.tensor([*tokens, *tree.tokens])
        places[row, : len(counted)] = torch.tensor(counted)
    embedded = model.model.embed(ids, *(image or (None, None, None)))
    hidden = model.model(embedded, attention_mask(pending, trees, cache.lengths), places, cache)
    return model.model.transformer["ff_out"](hidden)


@torch.inference_mode()
def alone(model: Any, inputs: dict[str, torch.Tensor], ids: Sequence[int]) -> torch.Tensor:
    """Logits of the last token of a whole sequence, without cache, tree or mask."""
    return model(**(inputs | {"input_ids": torch.tensor([list(ids)])})).logits[0, -1]


@pytest.mark.parametrize("flavor", ["qwen2", "olmo", "olmoe"])
def test_each_node_is_as_if_its_branch_stood_alone(golden: Callable[[str], Any], flavor: str) -> None:
    case = golden(flavor)
    model, prompt = case.model(), case.inputs["input_ids"][0].tolist()
    image = [case.inputs[name] for name in ("images", "image_masks", "image_input_idx")]
    cache = KeyValueCache(80)
    read = prompt[:25]
    # The first pass holds the image, what is pending is longer than one token, and a draft behind it.
    for pending, seed in ((read, 1), (prompt[25:26], 2), (prompt[26:29], 3)):
        tree = random_tree(seed)
        logits = tree_pass(model, [pending], [tree], cache, image if not cache.lengths[0] else None)
        before = prompt[: cache.lengths[0] + len(pending)]
        assert cache.lengths[0] == len(before) - len(pending)
        torch.testing.assert_close(logits[0, len(pending) - 1], alone(model, case.inputs, before), rtol=0, atol=GOAL)
        for node in range(len(tree)):
            branch = [tree.tokens[i] for i in path_to(tree, node)]
            torch.testing.assert_close(
                logits[0, len(pending) + node], alone(model, case.inputs, [*before, *branch]), rtol=0, atol=GOAL
            )
        cache.accept([range(len(pending))])


@pytest.mark.parametrize("flavor", ["qwen2", "olmoe"])
def test_rows_of_different_lengths_do_not_disturb_one_another(golden: Callable[[str], Any], flavor: str) -> None:
    case = golden(flavor)
    model, prompt = case.model(), case.inputs["input_ids"][0].tolist()
    image = [case.inputs[name] for name in ("images", "image_masks", "image_input_idx")]
    shared = KeyValueCache(20)
    tree_pass(model, [prompt[:15]], [TokenTree()], shared, image)
    shared.accept([range(15)])
    cache = shared.forked(3, 15, 90)
    questions = [prompt[15:19], prompt[20:31], prompt[30:31]]
    texts = [list(prompt[:15]) for _ in questions]
    for step in range(3):
        trees = [random_tree(10 * step + row, chains=row * (step + 1)) for row in range(3)]
        logits = tree_pass(model, questions, trees, cache, None)
        assert torch.isfinite(logits).all()
        kept = []
        for row, (tokens, tree) in enumerate(zip(questions, trees)):
            texts[row] += tokens
            torch.testing.assert_close(logits[row, len(tokens) - 1], alone(model, case.inputs, texts[row]), rtol=0, atol=GOAL)
            for node in range(len(tree)):
                branch = [tree.tokens[i] for i in path_to(tree, node)]
                torch.testing.assert_close(
                    logits[row, len(tokens) + node], alone(model, case.inputs, [*texts[row], *branch]), rtol=0, atol=GOAL
                )
            # The deepest branch turns out right: its nodes have gaps between them.
            path = path_to(tree, int(tree.depths().argmax())) if len(tree) else []
            kept.append([*range(len(tokens)), *(len(tokens) + i for i in path)])
            texts[row] += [tree.tokens[i] for i in path]
        cache.accept(kept)
        assert cache.lengths == [len(t) for t in texts]
        questions = [[7 + row] for row in range(3)]
