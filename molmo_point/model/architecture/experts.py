"""Mixture of experts of MolmoE: many small SwiGLUs, a few of them for each token."""

import torch
import torch.nn.functional as F
from torch import nn

from molmo_point.model.architecture.config import MolmoConfig


class Expert(nn.Module):
    """SwiGLU without biases; the three matrices are separate, as in the released files."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class MixtureOfExperts(nn.Module):
    """Router and experts; no expert is shared, no token is dropped.

    The weights of the chosen experts are their probabilities among *all* experts, as in the training of MolmoE.
    """

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        self.top_k = config.num_experts_per_tok
        self.gate = nn.Linear(config.hidden_size, config.num_experts, bias=False)
        inner = config.intermediate_size // 2
        self.experts = nn.ModuleList(Expert(config.hidden_size, inner) for _ in range(config.num_experts))

    def route(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose weights (tokens, top_k) float32 and experts (tokens, top_k) int64, best first, for ``x`` (tokens, hidden)."""
        probabilities = self.gate(x).softmax(dim=-1, dtype=torch.float32)
        weights, chosen = probabilities.topk(self.top_k, dim=-1)
        return weights, chosen

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (…, hidden) to (…, hidden); only chosen experts run."""
        tokens = x.reshape(-1, x.shape[-1])
        weights, chosen = self.route(tokens)
        if len(tokens) == 1:
            outputs = torch.cat([self.experts[index](tokens) for index in chosen[0].tolist()])
        else:
            outputs = self.run_sorted(tokens, chosen)
        # The sum follows the order of the weights, not of the experts. So it does not depend on the
        # other tokens of the batch.
        outputs = outputs.view(len(tokens), self.top_k, -1) * weights[..., None].to(x.dtype)
        return outputs.sum(dim=1).view(x.shape)

    def run_sorted(self, tokens: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Run every expert once on all its tokens: (tokens·top_k, hidden), in the order of ``chosen`` (tokens, top_k)."""
        flat = chosen.flatten()
        order = flat.argsort()
        counts = torch.bincount(flat, minlength=len(self.experts)).tolist()
        pieces = tokens[order // self.top_k].split(counts)
        outputs = [expert(piece) for expert, piece in zip(self.experts, pieces, strict=True) if len(piece)]
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        return torch.cat(outputs)[place]
