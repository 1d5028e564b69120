"""Bounds of the numbers in ``config.json``, checked before anything of their size is made."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from molmo_point.errors import CheckpointError

_LARGEST = 1 << 24
_WIDE = 1 << 20
# Smallest and largest value of whole numbers, in any part of the configuration.
_WHOLE = {
    "hidden_size": (1, _WIDE),
    "intermediate_size": (1, _LARGEST),
    "num_hidden_layers": (1, 1000),
    "num_attention_heads": (1, 4096),
    "num_key_value_heads": (1, 4096),
    "head_dim": (1, 1 << 16),
    "vocab_size": (1, _LARGEST),
    "embedding_size": (1, _LARGEST),
    "additional_vocab_size": (0, _WIDE),
    "max_position_embeddings": (1, _LARGEST),
    "num_experts": (0, 1024),
    "num_experts_per_tok": (0, 1024),
    "image_size": (1, 4096),
    "patch_size": (1, 1024),
    "num_position_embeddings": (1, _WIDE),
    "num_channels": (1, 64),
    "text_hidden_size": (1, _WIDE),
    "num_labels": (0, 10_000),  # transformers makes a table of so many names
}
_FLOATS = {
    "rope_theta": (1.0, 1e12),
    "layer_norm_eps": (0.0, 0.1),
    "rms_norm_eps": (0.0, 0.1),
    "initializer_range": (0.0, 100.0),
}
_SWITCHES = ("qkv_bias", "attention_layer_norm", "norm_after", "use_cache", "use_position_ids", "weight_tying")
_IDS = ("eos_token_id", "bos_token_id", "pad_token_id")
_MOST_EXPERTS, _DEEPEST = 20_000, 8
_AGAIN = "download config.json again"


def check_bounds(values: Mapping[str, Any]) -> None:
    """Check the numbers of a configuration, under the names of `MolmoConfig`; a CheckpointError names the first bad one."""
    for problem in problems_of(values):
        raise CheckpointError("config.json must describe a Molmo", problem, _AGAIN)


def problems_of(values: Mapping[str, Any]) -> Iterator[str]:
    """Describe every number that is out of its bounds, of another type, or not finite."""
    yield from _of_part(values, "", 0)
    layers, experts = values.get("num_hidden_layers"), values.get("num_experts")
    if type(layers) is int and type(experts) is int and layers * experts > _MOST_EXPERTS:
        yield f"num_hidden_layers = {layers} with num_experts = {experts}: more than {_MOST_EXPERTS} experts in all"


def _of_part(values: Mapping[str, Any], prefix: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        yield f"{prefix} is nested too deeply"
        return
    for name, value in values.items():
        label = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _of_part(value, f"{label}.", depth + 1)
        elif value is not None:
            yield from _of_value(str(name), label, value)


def _of_value(name: str, label: str, value: Any) -> Iterator[str]:
    given = f"{label} = {str(value)[:60]}"
    numbers = [entry for entry in entries_of(value) if isinstance(entry, (int, float))]
    if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
        yield f"{given}, which is not finite"
    elif name not in _FLOATS and any(abs(n) > _LARGEST for n in numbers):
        yield f"{given}, which is absurdly large"
    elif name in _WHOLE:
        low, high = _WHOLE[name]
        sides = value if name == "image_size" and isinstance(value, list) and value else [value]
        if not all(type(side) is int and low <= side <= high for side in sides):
            yield f"{given}, not a whole number from {low} to {high}"
    elif name in _FLOATS:
        low, high = _FLOATS[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            yield f"{given}, not a number from {low:g} to {high:g}"
    elif name in _SWITCHES:
        if not isinstance(value, bool):
            yield f"{given}, neither true nor false"
    elif name in _IDS and not all(type(entry) is int and 0 <= entry < _LARGEST for entry in entries_of(value)):
        yield f"{given}, not the number of a token"


def entries_of(value: Any) -> list[Any]:
    """Return the entries of a list, or the one value that stands for it."""
    return value if isinstance(value, list) else [value]
