"""Image encoder: CLIP's vision transformer as used by Molmo."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from molmo_point.model.architecture.config import MolmoVisionConfig
from molmo_point.model.architecture.stem import Stem


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """CLIP's activation x·σ(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


class VisionAttention(nn.Module):
    """Multi-head attention with separate, biased projections; query and source may differ."""

    def __init__(self, width_in: int, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.wq = nn.Linear(width_in, width)
        self.wk = nn.Linear(width_in, width)
        self.wv = nn.Linear(width_in, width)
        self.wo = nn.Linear(width, width)

    def forward(self, query: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Attend from ``query`` (n, q, width_in) to ``source`` (n, k, width_in)."""
        q, k, v = (
            proj(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for proj, x in ((self.wq, query), (self.wk, source), (self.wv, source))
        )
        # The reference computes this attention in float32 for weights of any type.
        out = F.scaled_dot_product_attention(q.float(), k.float(), v.float()).to(v.dtype)
        return self.wo(out.transpose(1, 2).flatten(2))


class VisionMLP(nn.Module):
    """Two linear layers with quick-GELU between them."""

    def __init__(self, config: MolmoVisionConfig) -> None:
        super().__init__()
        self.w1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.w2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w2(quick_gelu(self.w1(x)))


class VisionBlock(GradientCheckpointingLayer):
    """Pre-norm transformer block."""

    def __init__(self, config: MolmoVisionConfig) -> None:
        super().__init__()
        self.attention = VisionAttention(config.hidden_size, config.hidden_size, config.num_attention_heads)
        self.feed_forward = VisionMLP(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.ffn_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.attention_norm(x)
        x = x + self.attention(h, h)
        return x + self.feed_forward(self.ffn_norm(x))


class VisionBlocks(nn.Module):
    """List of blocks under the name used in the checkpoints."""

    def __init__(self, config: MolmoVisionConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(VisionBlock(config) for _ in range(config.num_hidden_layers))


class VisionTransformer(nn.Module):
    """Vision transformer that returns the two feature maps used by Molmo."""

    def __init__(self, config: MolmoVisionConfig) -> None:
        super().__init__()
        self.config = config
        patches = config.patches_per_side**2
        self.class_embedding = nn.Parameter(torch.zeros(config.hidden_size))
        self.positional_embedding = nn.Parameter(torch.zeros(patches + 1, config.hidden_size))
        self.stem = None if config.stem is None else Stem(config.stem, config.patch_size)
        entries = 3 * config.patch_size**2 if self.stem is None else self.stem.channels
        self.patch_embedding = nn.Linear(entries, config.hidden_size, bias=False)
        self.pre_ln = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.transformer = VisionBlocks(config)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Encode crops (crops, patches, 3·patch²), normalized and channel last, to (crops, patches, 2·width).

        The features are the outputs of the second-to-last block, then of the ninth-to-last; with a stem, the output of the
        last block, then the input of the first.
        """
        x = self.patch_embedding(patches if self.stem is None else self.stem(patches))
        cls = self.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1)
        x = torch.cat([cls, x], dim=1) + self.positional_embedding.to(x.dtype)
        x = self.pre_ln(x)
        late, early = self.config.feature_layers
        kept = {-1: x[:, 1:]}
        # The last block is in the files, but its output is unused, so it does not run.
        for index, block in enumerate(self.transformer.resblocks[: late + 1]):
            x = block(x)
            if index in (late, early):
                kept[index] = x[:, 1:]
        return torch.cat([kept[late], kept[early]], dim=-1)
