"""transformers' own Qwen2 with a Molmo's weights: the fairest peer of the language part."""

from typing import Any

import torch
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM

from molmo_point.model.architecture.config import MolmoConfig


def has_peer(config: MolmoConfig) -> bool:
    """Tell whether Qwen2 has the architecture of this decoder: pre-norm, dense, biased projections."""
    return bool(config.qkv_bias) and not (config.norm_after or config.attention_layer_norm or config.num_experts)


def qwen2_peer(model: Any) -> Qwen2ForCausalLM:
    """A `Qwen2ForCausalLM` of the model's shape that shares its weights; it is fed with embeddings.

    Args:
        model: `MolmoForCausalLM` for which `has_peer` holds.
    """
    config = model.config
    shape = Qwen2Config(
        vocab_size=config.embedding_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size // 2,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        max_position_embeddings=config.max_position_embeddings,
        rms_norm_eps=config.layer_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    with torch.device("meta"):
        peer = Qwen2ForCausalLM(shape)
    peer.load_state_dict(_shared_weights(model), assign=True, strict=True)
    # A table that is computed, not loaded, must not stay without memory.
    peer.model.rotary_emb = type(peer.model.rotary_emb)(config=shape).to(model.device)
    return peer.eval()


def _shared_weights(model: Any) -> dict[str, torch.Tensor]:
    transformer, config = model.model.transformer, model.config
    state = {
        "model.embed_tokens.weight": transformer["wte"].embedding,
        "model.norm.weight": transformer["ln_f"].weight,
        "lm_head.weight": transformer["ff_out"].weight,
    }
    inner = config.intermediate_size // 2
    for i, block in enumerate(transformer["blocks"]):
        to = f"model.layers.{i}."
        for name, part in zip("qkv", _parts(block.att_proj, block.split)):
            state |= {f"{to}self_attn.{name}_proj.{key}": tensor for key, tensor in part.items()}
        up, gate = block.ff_proj.weight.split(inner)
        state |= {
            f"{to}self_attn.o_proj.weight": block.attn_out.weight,
            f"{to}mlp.up_proj.weight": up,
            f"{to}mlp.gate_proj.weight": gate,
            f"{to}mlp.down_proj.weight": block.ff_out.weight,
            f"{to}input_layernorm.weight": block.attn_norm.weight,
            f"{to}post_attention_layernorm.weight": block.ff_norm.weight,
        }
    return {name: tensor.detach() for name, tensor in state.items()}


def _parts(fused: nn.Linear, split: tuple[int, int, int]) -> list[dict[str, torch.Tensor]]:
    weights, biases = fused.weight.split(list(split)), fused.bias.split(list(split))
    return [{"weight": w, "bias": b} for w, b in zip(weights, biases)]
