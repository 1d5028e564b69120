"""Which model of the family a `config.json` describes, in numbers and in words; needs no torch."""

from dataclasses import dataclass
from typing import Any

from molmo_point.errors import CheckpointError
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
_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads")
_LARGEST = 1 << 24
_MOST = {"num_hidden_layers": 1000, "num_experts": 1024}


@dataclass(frozen=True)
class Flavour:
    """The language model that a configuration describes.

    Attributes:
        family: "molmo", "molmo2" or "molmopoint".
        title: What it is, for people.
        layers: Blocks.
        width: Hidden size.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        head_dim: Width of a head.
        vocab_size: Tokens of the tokenizer.
        context: Longest sequence, tokens.
        experts: Experts of each block; 0 = dense.
        experts_per_token: Experts that a token goes through; 0 = dense.
        quantized: Method by which the stored weights are quantized already; empty if they are not.
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

    @property
    def cache_bytes_per_token(self) -> int:
        """Keys and values of one token in 16-bit precision, bytes."""
        return 2 * self.layers * self.kv_heads * self.head_dim * 2

    @property
    def words(self) -> str:
        """Its sizes in one line for people."""
        heads = f"{self.heads} heads" + (f" ({self.kv_heads} of keys and values)" if self.kv_heads != self.heads else "")
        experts = f", {self.experts} experts ({self.experts_per_token} active for a token)" if self.experts else ""
        return f"{self.layers} layers, width {self.width}, {heads}{experts}"


def flavour_of(data: Any) -> Flavour:
    """Reads the model out of a parsed `config.json`.

    Args:
        data: What the file holds, in any dialect of the family.

    Raises:
        CheckpointError: It is of another model, or its sizes make no model.
    """
    kind = data.get("model_type") if isinstance(data, dict) else None
    family = {"molmo": "molmo", "molmo2": "molmo2", "molmo_point": "molmopoint", "molmopoint": "molmopoint"}.get(str(kind))
    if family is None:
        found = f"model_type {kind!r}" if isinstance(data, dict) else f"a {type(data).__name__}, not an object"
        raise CheckpointError("This is not a checkpoint of the Molmo family", f"config.json: {found}", _OF_MOLMO)
    try:
        flavour = _molmo(released_config(data)) if family == "molmo" else _later(family, data)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            "config.json holds values that make no Molmo", f"{type(error).__name__}: {error}", "download config.json again"
        ) from error
    return flavour


def check_sizes(values: dict[str, Any]) -> None:
    """Refuses sizes that would take for ever to build, before anything is built.

    Args:
        values: Settings under the names of `MolmoConfig`.

    Raises:
        CheckpointError: Naming the setting.
    """
    vision = values.get("vision_config")
    for where in (values, vision if isinstance(vision, dict) else {}):
        for name, value in where.items():
            if not isinstance(value, int) or not name.endswith(("_size", "_layers", "_heads", "_experts")):
                continue
            if value < 0 or value > _MOST.get(name, _LARGEST):
                raise CheckpointError(
                    "config.json holds values that make no Molmo", f"{name} = {value}", "download config.json again"
                )


def _molmo(values: dict[str, Any]) -> Flavour:
    check_sizes(values)
    width, layers, heads = (
        _whole(values, "hidden_size"),
        _whole(values, "num_hidden_layers"),
        _whole(values, "num_attention_heads"),
    )
    experts = values.get("num_experts") or 0
    return Flavour(
        family="molmo",
        title=_title(values, width, layers, experts),
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=values.get("num_key_value_heads") or heads,
        head_dim=width // heads,
        vocab_size=_whole(values, "vocab_size"),
        context=values.get("max_position_embeddings") or 4096,
        experts=experts,
        experts_per_token=values.get("num_experts_per_tok", 8) if experts else 0,
        quantized=_quantized(values),
    )


def _later(family: str, data: dict[str, Any]) -> Flavour:
    """Molmo2 and MolmoPoint keep the language model's sizes in a part of their configuration."""
    text = data.get("text_config") or data.get("llm_config") or data
    width, layers, heads = (_whole(text, name) for name in _SIZES)
    check_sizes(text)
    return Flavour(
        family=family,
        title={"molmo2": "Molmo2", "molmopoint": "MolmoPoint"}[family],
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=text.get("num_key_value_heads") or heads,
        head_dim=text.get("head_dim") or width // heads,
        vocab_size=_whole(text, "vocab_size"),
        context=text.get("max_position_embeddings") or 36864,
        quantized=_quantized(data),
    )


def _title(values: dict[str, Any], width: int, layers: int, experts: int) -> str:
    if experts:
        kind = "mixture of experts"
    elif values.get("norm_after"):
        kind = "OLMo flavour"
    elif values.get("qkv_bias", True) and not values.get("attention_layer_norm"):
        kind = "Qwen2 flavour"
    else:
        kind = "a flavour of its own"
    name = _RELEASED.get((width, layers, experts))
    return f"{name} ({kind})" if name else f"Molmo of a size of its own ({kind})"


def _whole(values: dict[str, Any], name: str) -> int:
    value = values.get(name)
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} is {'not there' if value is None else repr(value)}")
    return value


def _quantized(data: dict[str, Any]) -> str:
    method = data.get("quantization_config")
    if not method:
        return ""
    if not isinstance(method, dict):
        raise ValueError("quantization_config is no object")
    bits = {"load_in_4bit": " 4 bit", "load_in_8bit": " 8 bit"}
    return str(method.get("quant_method", "unknown")) + next((words for key, words in bits.items() if method.get(key)), "")


_OF_MOLMO = "use the files of a Molmo, Molmo2 or MolmoPoint checkpoint, or the embedded 'tabletop'"
