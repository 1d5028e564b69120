"""The experts against a loop over tokens, against transformers' OLMoE, and against what they must not be."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.architecture.experts import Expert, MixtureOfExperts

GOAL = 3e-5
BROKEN = 1e-3


def small_mixture(experts: int = 8, top_k: int = 3, seed: int = 4) -> MixtureOfExperts:
    torch.manual_seed(seed)
    config = MolmoConfig(
        hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=2, num_experts=experts,
        num_experts_per_tok=top_k, vocab_size=8,
    )  # fmt: skip
    mixture = MixtureOfExperts(config)
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.normal_(std=0.3)
    return mixture


def one_token_at_a_time(mixture: MixtureOfExperts, x: torch.Tensor) -> torch.Tensor:
    """The definition: for every token the best experts, each times its share among all of them."""
    result = torch.zeros_like(x)
    for place, token in enumerate(x):
        scores = mixture.gate.weight @ token
        shares = (scores - scores.max()).exp()
        shares = shares / shares.sum()
        for index in sorted(range(len(shares)), key=lambda i: -float(shares[i]))[: mixture.top_k]:
            e = mixture.experts[index]
            inner = F.silu(e.gate_proj.weight @ token) * (e.up_proj.weight @ token)
            result[place] += shares[index] * (e.down_proj.weight @ inner)
    return result


@pytest.mark.parametrize("tokens", [1, 2, 7, 40])
@pytest.mark.parametrize("top_k", [1, 3, 8])
def test_many_tokens_at_once_are_each_token_alone(tokens: int, top_k: int) -> None:
    mixture = small_mixture(top_k=top_k)
    x = torch.randn(tokens, 16, generator=torch.Generator().manual_seed(tokens))
    with torch.inference_mode():
        together = mixture(x[None])
        assert together.shape == (1, tokens, 16)
        torch.testing.assert_close(together[0], one_token_at_a_time(mixture, x), rtol=0, atol=1e-5)


def test_only_chosen_experts_run_and_each_once() -> None:
    mixture = small_mixture(experts=8, top_k=2)
    calls: list[int] = []
    for index, expert in enumerate(mixture.experts):
        expert.register_forward_hook(lambda _m, args, _o, i=index: calls.append(i) or None)
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for tokens in (x[:1], x):
            calls.clear()
            mixture(tokens[None])
            chosen = set(mixture.route(tokens)[1].flatten().tolist())
            assert sorted(calls) == sorted(chosen)
            assert len(calls) < 8


def test_the_router_works_in_float32() -> None:
    mixture = small_mixture().to(torch.bfloat16)
    weights, chosen = mixture.route(torch.randn(5, 16, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(3)))
    assert weights.dtype == torch.float32 and chosen.dtype == torch.int64
    assert bool((weights.sum(-1) < 1).all()) and bool((weights.diff(dim=-1) <= 0).all())
    assert mixture(torch.zeros(1, 2, 16, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_gradients_reach_router_and_chosen_experts_alone() -> None:
    mixture = small_mixture(experts=8, top_k=2)
    x = torch.randn(1, 2, 16, generator=torch.Generator().manual_seed(5))
    chosen = set(mixture.route(x[0])[1].flatten().tolist())
    mixture(x).square().sum().backward()
    assert float(mixture.gate.weight.grad.abs().sum()) > 0
    for index, expert in enumerate(mixture.experts):
        assert (expert.down_proj.weight.grad is not None) == (index in chosen)


# --- Broken mixtures are noticed --------------------------------------------------------------------------------


def error(case: Any, model: Any) -> float:
    with torch.inference_mode():
        return float((model(**case.inputs).logits - case.logits).abs().max())


def _renormalised(self: MixtureOfExperts, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    weights, chosen = self.gate(x).softmax(-1).topk(self.top_k)
    return weights / weights.sum(-1, keepdim=True), chosen


def _softmax_of_the_chosen(self: MixtureOfExperts, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scores, chosen = self.gate(x).topk(self.top_k)
    return scores.softmax(-1), chosen


def _worst(self: MixtureOfExperts, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return self.gate(x).softmax(-1).topk(self.top_k, largest=False)


def _unweighted_order(self: MixtureOfExperts, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    weights, chosen = self.gate(x).softmax(-1).topk(self.top_k)
    return weights, chosen.flip(-1)


def _gate_and_up_swapped(self: Expert, x: torch.Tensor) -> torch.Tensor:
    return self.down_proj(self.gate_proj(x) * F.silu(self.up_proj(x)))


_run_sorted = MixtureOfExperts.run_sorted


def _left_in_the_order_of_experts(self: MixtureOfExperts, tokens: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return _run_sorted(self, tokens, chosen)[chosen.flatten().argsort()]


BREAKS: dict[str, tuple[Any, str, Any]] = {
    "weights renormalised": (MixtureOfExperts, "route", _renormalised),
    "softmax after the choice": (MixtureOfExperts, "route", _softmax_of_the_chosen),
    "the worst experts": (MixtureOfExperts, "route", _worst),
    "weights of other experts": (MixtureOfExperts, "route", _unweighted_order),
    "gate and up swapped": (Expert, "forward", _gate_and_up_swapped),
    "outputs of other tokens": (MixtureOfExperts, "run_sorted", _left_in_the_order_of_experts),
}


@pytest.mark.parametrize("name", BREAKS)
def test_other_arithmetic_is_noticed(golden: Callable[[str], Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = golden("olmoe")
    model = case.model()
    assert error(case, model) < GOAL
    where, attribute, replacement = BREAKS[name]
    monkeypatch.setattr(where, attribute, replacement)
    assert error(case, model) > BROKEN


def _permute_experts(mixture: MixtureOfExperts) -> None:
    mixture.experts = torch.nn.ModuleList([*list(mixture.experts)[1:], mixture.experts[0]])


def _fewer_experts(mixture: MixtureOfExperts) -> None:
    mixture.top_k = 1


def _down_not_transposed(mixture: MixtureOfExperts) -> None:
    # what reading the stacked w2 without its transposition would give
    for expert in mixture.experts:
        weight = expert.down_proj.weight
        weight.data = weight.data.T.reshape(weight.shape)


@pytest.mark.parametrize("break_it", [_permute_experts, _fewer_experts, _down_not_transposed])
def test_misread_experts_are_noticed(golden: Callable[[str], Any], break_it: Callable[[MixtureOfExperts], None]) -> None:
    case = golden("olmoe")
    model = case.model()
    break_it(model.model.transformer["blocks"][1].mlp)
    assert error(case, model) > BROKEN


def test_the_router_moves_with_its_experts(golden: Callable[[str], Any]) -> None:
    case = golden("olmoe")
    model = case.model()
    mixture = model.model.transformer["blocks"][0].mlp
    _permute_experts(mixture)
    with torch.no_grad():
        mixture.gate.weight.copy_(mixture.gate.weight.roll(-1, 0))
    assert error(case, model) < GOAL
