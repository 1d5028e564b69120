"""Identification of the model described by a `config.json`, in numbers and words; needs no torch."""

from dataclasses import dataclass
from typing import Any

from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.config_bounds import check_bounds
from molmo_point.model.checkpoint.released_config import released_config

# Released Molmo v1: width, layers, experts.
_RELEASED = {
    (2048, 16, 64): "MolmoE-1B",
    (4096, 32, 0): "Molmo-7B-O",
    (3584, 28, 0): "Molmo-7B-D",
    (8192, 80, 0): "Molmo-72B",
    (160, 4, 0): "an embedded model, small",
    (160, 6, 0): "an embedded model, medium",
}


@dataclass(frozen=True)
class Flavor:
    """Sizes of the language model in a configuration.

    Attributes:
        family: "molmo", "molmo2" or "molmopoint".
        title: Name of the model, for people.
        context: Longest sequence, in tokens.
        experts: Number of experts of each block; 0 means dense.
        experts_per_token: Number of experts for each token; 0 means dense.
        quantized: Quantization method of the stored weights; empty if they are not quantized.
        embedding_rows: Rows of embedding and head; 0 means ``vocab_size``.
        added_rows: Rows of the embedding that the head lacks.
    """

    family: str
    title: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    context: int
    experts: int = 0
    experts_per_token: int = 0
    quantized: str = ""
    embedding_rows: int = 0
    added_rows: int = 128

    @property
    def cache_bytes_per_token(self) -> int:
        """Size of the keys and values of one token in 16-bit precision, in bytes."""
        return 2 * self.layers * self.kv_heads * self.head_dim * 2

    @property
    def words(self) -> str:
        """Sizes in one line, for people."""
        heads = f"{self.heads} heads" + (f" ({self.kv_heads} key-value)" if self.kv_heads != self.heads else "")
        experts = f", {self.experts} experts ({self.experts_per_token} active per token)" if self.experts else ""
        return f"{self.layers} layers, width {self.width}, {heads}{experts}"


FLAVORED = {"molmo": "molmo", "molmo2": "molmo2", "molmo_point": "molmopoint", "molmopoint": "molmopoint"}
"""Families of which `flavor_of` knows the sizes, by `model_type`."""


def flavor_of(data: Any) -> Flavor:
    """Identify the model in a parsed `config.json` of any dialect; CheckpointError for another model or invalid sizes."""
    kind = data.get("model_type") if isinstance(data, dict) else None
    family = FLAVORED.get(str(kind))
    if family is None:
        found = f"model_type {kind!r}" if isinstance(data, dict) else f"a {type(data).__name__}, not an object"
        raise CheckpointError("The checkpoint must be of the Molmo family", f"config.json: {found}", _OF_MOLMO)
    try:
        return _molmo(released_config(data)) if family == "molmo" else _later(family, data)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError, OverflowError) as error:
        given = f"{type(error).__name__}: {error}"
        raise CheckpointError("config.json must describe a Molmo", given, "download config.json again") from error


def _molmo(values: dict[str, Any]) -> Flavor:
    sizes = _sizes(values | {"head_dim": None}, 4096)
    experts = values.get("num_experts") or 0
    return Flavor(
        family="molmo",
        title=_title(values, sizes["width"], sizes["layers"], experts),
        experts=experts,
        experts_per_token=values.get("num_experts_per_tok", 8) if experts else 0,
        quantized=_quantized(values),
        embedding_rows=values.get("embedding_size") or 0,
        added_rows=values.get("additional_vocab_size", 128),
        **sizes,
    )


def _later(family: str, data: dict[str, Any]) -> Flavor:
    """Identify a Molmo2 or MolmoPoint, whose sizes are in a part of the configuration."""
    check_bounds(data)
    sizes = _sizes(data.get("text_config") or data.get("llm_config") or data, 36864)
    title = {"molmo2": "Molmo2", "molmopoint": "MolmoPoint"}[family]
    added = (data.get("text_config") or {}).get("additional_vocab_size", 128)
    return Flavor(family=family, title=title, quantized=_quantized(data), added_rows=added, **sizes)


def _sizes(values: dict[str, Any], context: int) -> dict[str, int]:
    check_bounds(values)
    width, layers, heads = (_whole(values, name) for name in ("hidden_size", "num_hidden_layers", "num_attention_heads"))
    return {
        "layers": layers,
        "width": width,
        "heads": heads,
        "kv_heads": values.get("num_key_value_heads") or heads,
        "head_dim": values.get("head_dim") or width // heads,
        "vocab_size": _whole(values, "vocab_size"),
        "context": values.get("max_position_embeddings") or context,
    }


def _title(values: dict[str, Any], width: int, layers: int, experts: int) -> str:
    if experts:
        kind = "mixture of experts"
    elif values.get("norm_after"):
        kind = "OLMo flavor"
    elif values.get("qkv_bias", True) and not values.get("attention_layer_norm"):
        kind = "Qwen2 flavor"
    else:
        kind = "custom flavor"
    name = _RELEASED.get((width, layers, experts))
    return f"{name} ({kind})" if name else f"Molmo of custom size ({kind})"


def _whole(values: dict[str, Any], name: str) -> int:
    value = values.get(name)
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} is {'missing' if value is None else repr(value)}")
    return value


def _quantized(data: dict[str, Any]) -> str:
    method = data.get("quantization_config")
    if not method:
        return ""
    if not isinstance(method, dict):
        raise ValueError("quantization_config is not an object")
    bits = {"load_in_4bit": " 4 bit", "load_in_8bit": " 8 bit"}
    return str(method.get("quant_method", "unknown")) + next((words for key, words in bits.items() if method.get(key)), "")


_OF_MOLMO = "use the files of a Molmo, Molmo2 or MolmoPoint checkpoint, or the embedded 'tabletop'"
