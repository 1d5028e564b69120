"""Decoder: embeddings, blocks, rotary positions and key-value cache."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Cache
from transformers.modeling_layers import GradientCheckpointingLayer

from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.architecture.experts import MixtureOfExperts


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x32 = x.float()
        x32 = x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * x32.to(x.dtype)


class TokenEmbedding(nn.Module):
    """Token embedding: the base table, followed by the rows for image tokens."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        assert config.embedding_size is not None
        self.embedding = nn.Parameter(torch.zeros(config.embedding_size, config.hidden_size))
        self.new_embedding = nn.Parameter(torch.zeros(config.additional_vocab_size, config.hidden_size))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        # Two look-ups, because joining the tables would copy the whole vocabulary for every token.
        base_rows = self.embedding.shape[0]
        is_new = input_ids >= base_rows
        base = F.embedding(input_ids.masked_fill(is_new, 0), self.embedding)
        new = F.embedding((input_ids - base_rows).clamp(min=0), self.new_embedding)
        return torch.where(is_new[..., None], new, base)


def rotary_tables(position_ids: torch.Tensor, head_dim: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine (batch, 1, length, head_dim) in float32, half-split layout."""
    exponent = torch.arange(0, head_dim, 2, device=position_ids.device, dtype=torch.float32)
    frequency = 1.0 / (theta ** (exponent / head_dim))
    angle = position_ids.float()[:, None, :, None] * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def apply_rotary(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate (batch, heads, length, head_dim) in float32 and cast back."""
    x32 = x.float()
    first, second = x32.chunk(2, dim=-1)
    return (x32 * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


class DecoderBlock(GradientCheckpointingLayer):
    """Attention and feed-forward; fused projections have rows [q, k, v] and [up, gate]."""

    def __init__(self, config: MolmoConfig, layer_index: int) -> None:
        super().__init__()
        assert config.num_key_value_heads is not None
        self.layer_index = layer_index
        self.norm_after = config.norm_after
        self.head_dim = config.head_dim
        hidden, kv_width = config.hidden_size, config.num_key_value_heads * config.head_dim
        self.split = (hidden, kv_width, kv_width)
        self.att_proj = nn.Linear(hidden, sum(self.split), bias=config.qkv_bias)
        self.attn_out = nn.Linear(hidden, hidden, bias=False)
        self.has_experts = config.num_experts > 0
        if self.has_experts:
            self.mlp = MixtureOfExperts(config)
        else:
            self.ff_proj = nn.Linear(hidden, config.intermediate_size, bias=False)
            self.ff_out = nn.Linear(config.intermediate_size // 2, hidden, bias=False)
        self.attn_norm = RMSNorm(hidden, config.layer_norm_eps)
        self.ff_norm = RMSNorm(hidden, config.layer_norm_eps)
        if config.attention_layer_norm:
            self.q_norm = RMSNorm(hidden, config.layer_norm_eps)
            self.k_norm = RMSNorm(kv_width, config.layer_norm_eps)
        else:
            self.q_norm = self.k_norm = nn.Identity()

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None,
        rotary: tuple[torch.Tensor, torch.Tensor],
        past_key_values: Cache | None = None,
    ) -> torch.Tensor:
        if self.norm_after:
            x = x + self.attn_norm(self.attend(x, mask, rotary, past_key_values))
            return x + self.ff_norm(self.feed_forward(x))
        x = x + self.attend(self.attn_norm(x), mask, rotary, past_key_values)
        return x + self.feed_forward(self.ff_norm(x))

    def project_qkv(
        self, x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotated queries and keys, and values, each (batch, heads, length, head_dim)."""
        q, k, v = self.att_proj(x).split(self.split, dim=-1)
        q, k, v = (t.unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for t in (self.q_norm(q), self.k_norm(k), v))
        return apply_rotary(q, *rotary), apply_rotary(k, *rotary), v

    def attend(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None,
        rotary: tuple[torch.Tensor, torch.Tensor],
        cache: Cache | None,
    ) -> torch.Tensor:
        """Apply causal self-attention; ``mask`` is (batch, 1, q, k) bool, True for "may attend"."""
        q, k, v = self.project_qkv(x, rotary)
        if cache is not None:
            k, v = cache.update(k, v, self.layer_index)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and q.shape[2] > 1, enable_gqa=True)
        return self.attn_out(out.transpose(1, 2).flatten(2))

    def feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the experts, or a SwiGLU whose gate is the second half of the fused projection."""
        if self.has_experts:
            return self.mlp(x)
        up, gate = self.ff_proj(x).chunk(2, dim=-1)
        return self.ff_out(F.silu(gate) * up)
