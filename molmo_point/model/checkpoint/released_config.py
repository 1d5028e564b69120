"""Reader of ``config.json``, with the two released dialects unified.

Molmo-7B-D, 7B-O and 72B use ``hidden_size, num_hidden_layers, …``. MolmoE uses the names of the
training code, ``d_model, n_layers, …``. Both have the ``model_type`` "molmo", so the names decide.
A setting that needs arithmetic that is not implemented is refused.
"""

from pathlib import Path
from typing import Any

from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.weight_files import read_object

NAMES_OF_TRAINING = {
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "max_sequence_length": "max_position_embeddings",
}
NAMES_OF_EXPERTS = {"moe_num_experts": "num_experts", "moe_top_k": "num_experts_per_tok"}

_DEFAULTS_OF_TRAINING: dict[str, Any] = {
    "num_key_value_heads": None,
    "max_position_embeddings": 4096,
    "rope_theta": 10_000.0,
    "layer_norm_eps": 1e-5,
    "qkv_bias": False,
    "attention_layer_norm": False,
    "norm_after": False,
}
_AGAIN, _USE = "download config.json again", "use the config.json of a released checkpoint"
_NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")

# Accepted values of each setting, if it is present; the first value is recommended in errors. Dropout,
# initialization, losses and kernels are not listed, because they do not affect inference.
IMPLEMENTED: dict[str, tuple[Any, ...]] = {
    "layer_norm_type": ("rms",),
    "layer_norm_with_affine": (True,),
    "attention_layer_norm_with_affine": (True,),
    "bias_for_layer_norm": (False, None),
    "include_bias": (False, None),
    "clip_qkv": (None,),
    "weight_tying": (False, None),
    "tie_word_embeddings": (False, None),
    "rope": (True,),
    "rope_impl": ("llama",),
    "rope_full_precision": (True,),
    "rope_scaling": (None,),
    "alibi": (False, None),
    "multi_query_attention": (False, None),
    "activation_type": ("swiglu", "silu"),
    "hidden_act": ("silu",),
    "scale_logits": (False, None),
    "normalize_input_embeds": (False, None),
    "block_group_size": (1, None),
    "moe_dropless": (True,),
    "moe_shared_expert": (False, None),
    "moe_normalize_expert_weights": (None, False),
    "norm_topk_prob": (False, None),
    "image_pooling_2d": ("attention_meanq",),
    "image_pooling_h": (2,),
    "image_pooling_w": (2,),
    "image_projector": ("mlp",),
    "image_padding_embed": ("pad_and_partial_pad",),
    "vit_layers": ([-2, -9], (-2, -9)),
    "use_cls_feature": (False, None),
}


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` of a checkpoint folder; CheckpointError if it is missing, broken, or no JSON object."""
    path, fix = folder / "config.json", "pass the folder that holds the model's files"
    return read_object(path, missing=CheckpointError("The checkpoint must have a config.json", f"no {path}", fix))


def released_config(data: dict[str, Any]) -> dict[str, Any]:
    """Convert ``config.json`` in either dialect, or arguments of `MolmoConfig`, to the names of `MolmoConfig`.

    Settings of the training dialect are renamed and completed with its defaults; unknown names are kept.

    Raises:
        CheckpointError: A setting is missing, contradicts another, or needs arithmetic that is not implemented.
    """
    for name, accepted in IMPLEMENTED.items():
        if name in data and not any(data[name] == value for value in accepted):
            raise CheckpointError(f"{name} must be {accepted[0]!r}, as in every released Molmo", f"{name} = {data[name]!r}", _USE)
    if not any(name in data for name in NAMES_OF_TRAINING):
        return dict(data)
    return _from_training_names(data)


def _from_training_names(data: dict[str, Any]) -> dict[str, Any]:
    block_type = data.get("block_type") or "sequential"
    if block_type not in ("moe", "sequential"):
        raise CheckpointError("block_type must be 'moe' or 'sequential'", f"block_type = {block_type!r}", _USE)
    renamed = dict(NAMES_OF_TRAINING)
    values: dict[str, Any] = dict(_DEFAULTS_OF_TRAINING)
    if block_type == "moe":
        renamed |= NAMES_OF_EXPERTS
        values |= {"num_experts": 64, "num_experts_per_tok": 8}
    values |= {name: value for name, value in data.items() if name not in _CONSUMED}
    for theirs, ours in renamed.items():
        if theirs not in data:
            continue
        # The rotary table of MolmoE is longer than its sequences.
        if ours in data and data[ours] != data[theirs] and ours != "max_position_embeddings":
            given = f"{theirs} = {data[theirs]!r}, {ours} = {data[ours]!r}"
            raise CheckpointError("The configuration must not contradict itself", given, _AGAIN)
        values[ours] = data[theirs]
    missing = [name for name in _NEEDED if values.get(name) is None]
    if missing:
        raise CheckpointError("The configuration must be complete", f"missing {', '.join(missing)}", _AGAIN)
    if values.get("intermediate_size") is None:
        fused, ratio = data.get("mlp_hidden_size"), data.get("mlp_ratio", 1 if block_type == "moe" else None)
        if fused is None and ratio is None:
            raise CheckpointError("The configuration must be complete", "neither mlp_hidden_size nor mlp_ratio", _AGAIN)
        values["intermediate_size"] = int(ratio * values["hidden_size"]) if fused is None else fused
    return values


_CONSUMED = frozenset(NAMES_OF_TRAINING) | frozenset(NAMES_OF_EXPERTS) | frozenset(IMPLEMENTED) | {
    "block_type", "mlp_ratio", "mlp_hidden_size",
}  # fmt: skip
