"""Quantization by bitsandbytes: modules to skip, set before loading and verified after it."""

import copy
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

from molmo_point.dependencies import require
from molmo_point.errors import CheckpointError, InputError
from molmo_point.model.checkpoint.weight_files import listed

SKIPPED_MODULES = (
    "model.vision_backbone",
    "model.transformer.wte",
    "model.transformer.ff_out",
    r"model\.transformer\.blocks\.\d+\.mlp\.gate",
)
"""Modules that keep high precision: vision tower and connector, embeddings, head, routers of experts.

The names are complete, because transformers 5 reads each entry as an anchored pattern or as a suffix.
A bare ``vision_backbone`` would keep nothing, and a bare ``ff_out`` every block's projection.
"""

_KINDS = ("int8", "nf4")
# The first name is that of bitsandbytes, the second that of all other methods of transformers.
_SKIP_FIELDS = ("llm_int8_skip_modules", "modules_to_not_convert")
# bitsandbytes reorders 32 rows and whole scale blocks of 64 columns at a time, and fails on a remainder.
_PACKED_BLOCK = (32, 64)
_BLOCKS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
_LOGGED: set[str] = set()


def default_quantization(kind: str, compute_dtype: torch.dtype | None = None) -> Any:
    """Build the ``BitsAndBytesConfig`` of ``quantization="int8"`` or ``"nf4"``, which skips `SKIPPED_MODULES`.

    Args:
        kind: ``"int8"`` (half the size of bfloat16) or ``"nf4"`` (a quarter).
        compute_dtype: Type that NF4 weights are expanded to; should be that of unquantized weights. None takes bfloat16
            with a GPU and float32 without one, because most CPUs emulate 16-bit products.

    Raises:
        InputError: The kind is unknown.
        DependencyError: bitsandbytes cannot be imported.
    """
    if kind not in _KINDS:
        raise InputError("quantization must be 'int8', 'nf4' or None", repr(kind), "use one of them")
    _linear_classes()
    from transformers import BitsAndBytesConfig

    if kind == "int8":
        return with_default_skips(BitsAndBytesConfig(load_in_8bit=True))
    dtype = compute_dtype or (torch.bfloat16 if torch.cuda.is_available() else torch.float32)
    return with_default_skips(BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype))


def check_method(stored: Any, path: Path) -> None:
    """Check that transformers knows the method of a stored ``quantization_config``, or would ignore it; CheckpointError."""
    method = stored.get("quant_method") if isinstance(stored, dict) else None
    if stored is not None and method != "bitsandbytes" and method not in AUTO_QUANTIZER_MAPPING:
        given = f"{path}: {str(method or stored)[:60]}"
        fix = "use the unquantized checkpoint: molmo-point quantizes while it loads, with quantization='nf4'"
        raise CheckpointError("quantization_config must name a method of transformers", given, fix)


def with_default_skips(config: Any) -> Any:
    """Copy a quantization with the modules that must keep high precision added to its skip list.

    Args:
        config: Quantization configuration of transformers, as an object, dict or None. An empty skip list is taken
            literally: all modules are quantized. A method without a skip list stays as it is.
    """
    if config is None:
        return None
    if isinstance(config, dict):
        name = _SKIP_FIELDS[0] if _is_bitsandbytes(config) else _SKIP_FIELDS[1]
        return config | {name: _joined(config.get(name))}
    config = copy.deepcopy(config)
    for name in _SKIP_FIELDS:
        if hasattr(config, name):
            setattr(config, name, _joined(getattr(config, name)))
    return config


def _joined(skips: list[str] | None) -> list[str]:
    return [] if skips == [] else list(dict.fromkeys([*(skips or ()), *SKIPPED_MODULES]))


def _is_bitsandbytes(config: dict[str, Any]) -> bool:
    method = config.get("quant_method", "bitsandbytes")
    return getattr(method, "value", method) == "bitsandbytes"


def is_quantized(model: nn.Module) -> bool:
    """Test if the model was loaded with weights quantized by bitsandbytes."""
    return bool(getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False))


def quantized_modules(model: nn.Module) -> list[str]:
    """List the names of the modules quantized by bitsandbytes."""
    classes = _linear_classes()
    return [name for name, module in model.named_modules() if isinstance(module, classes)]


def check_quantized(model: nn.Module) -> None:
    """Verify on the modules of a Molmo loaded with bitsandbytes what the skip list only intends.

    Raises:
        CheckpointError: A module that must keep high precision is quantized, or no module is.
        DependencyError: bitsandbytes cannot be imported.
    """
    quantized = set(quantized_modules(model))
    if not quantized:
        fix = "remove names such as 'blocks' or 'model' from llm_int8_skip_modules"
        given = f"none, with the skip list {_skip_list(model)}"
        raise CheckpointError("A quantized model must have quantized modules", given, fix)
    check_layers(model)
    kept = {id(part) for module in _kept_modules(model) for part in module.modules()}
    wrong = [name for name, module in model.named_modules() if name in quantized and id(module) in kept]
    if wrong and _skip_list(model) != []:
        fix = "leave llm_int8_skip_modules unset, or quantize the released checkpoint instead of this one"
        raise CheckpointError("Vision, embeddings, head and routers must not be quantized", listed(wrong, 5), fix)


def check_layers(model: nn.Module) -> None:
    """Check that the packed weights and the scales of every quantized layer have the sizes that the layer expects.

    bitsandbytes takes the sizes of stored weights from the file, and would read beyond their end.

    Raises:
        CheckpointError: A layer has no scales, or weights of another size.
    """
    four_bit, eight_bit = _linear_classes()
    for name, module in model.named_modules():
        layer: Any = module
        if not isinstance(module, (four_bit, eight_bit)):
            continue
        wanted: tuple[int, int] = (layer.out_features, layer.in_features)
        if not (_fits_in_4_bits if isinstance(module, four_bit) else _fits_in_8_bits)(layer, wanted):
            given = f"{name}, a layer of {wanted[0]} x {wanted[1]}"
            fix = "quantize the released checkpoint again, and save the whole model"
            raise CheckpointError("The quantized weights of a layer must have its size and its scales", given, fix)


def _fits_in_4_bits(layer: Any, shape: tuple[int, int]) -> bool:
    weight = layer.weight
    state = getattr(weight, "quant_state", None)
    if state is None or tuple(state.shape) != shape or state.blocksize not in _BLOCKS or len(state.code) != 16:
        return False
    size = shape[0] * shape[1]
    scales = -(-size // state.blocksize)
    nested = not state.nested or len(state.state2.absmax) == -(-scales // state.state2.blocksize)
    return weight.numel() * weight.element_size() == -(-size // 2) and state.absmax.numel() == scales and nested


def _fits_in_8_bits(layer: Any, shape: tuple[int, int]) -> bool:
    weight = layer.weight
    # bitsandbytes moves the scales to the state of the layer with the first forward pass.
    scales = getattr(weight, "SCB", None)
    scales = layer.state.SCB if scales is None else scales
    return tuple(weight.shape) == shape and scales is not None and scales.numel() == shape[0]


def unify_precision(model: nn.Module) -> None:
    """Convert all weights that are not quantized to the type of the model.

    transformers leaves those of a saved quantized checkpoint in the type of the files, which then meets another type.
    """
    config: Any = model.config
    classes = _linear_classes()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            packed = isinstance(module, classes) and parameter is module.weight
            if not packed and parameter.is_floating_point() and not parameter.is_meta:
                parameter.data = parameter.data.to(config.dtype)


def allow_cpu_packing(model: nn.Module, allowed: bool = True) -> None:
    """Allow or forbid bitsandbytes to reorder NF4 weights in place, for CPUs with AVX-512 bfloat16.

    A 4096 × 4096 layer then takes 0.6 ms instead of 42 ms. Allow it only for pure inference: bitsandbytes 0.50 expands
    reordered weights to noise when an adapter is merged, and passes no gradient through them. Call it before the first
    forward pass; layers of a shape that bitsandbytes cannot reorder are never reordered.
    """
    if not getattr(model, "is_loaded_in_4bit", False):
        return
    from bitsandbytes.functional import has_avx512bf16

    four_bit = _linear_classes()[0]
    fast = allowed and bool(has_avx512bf16())
    for module in model.modules():
        if isinstance(module, four_bit):
            layer: Any = module
            fits = layer.out_features % _PACKED_BLOCK[0] == 0 and layer.in_features % _PACKED_BLOCK[1] == 0
            layer.support_avx512bf16_for_cpu = fast and fits


def warn_once() -> None:
    """Log bitsandbytes' warning about casts to float16 once, not for each int8 layer of each token."""
    logging.getLogger("bitsandbytes.autograd._functions").addFilter(_is_new)


def _is_new(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    new = text not in _LOGGED
    _LOGGED.add(text)
    return new


def _kept_modules(model: nn.Module) -> Iterator[nn.Module]:
    """List the modules that must keep high precision, by their place in the model."""
    inner: Any = getattr(model, "model", model)
    yield inner.vision_backbone
    yield inner.transformer["wte"]
    yield inner.transformer["ff_out"]
    for block in inner.transformer["blocks"]:
        router = getattr(getattr(block, "mlp", None), "gate", None)
        if router is not None:
            yield router


def _skip_list(model: nn.Module) -> list[str] | None:
    config = getattr(getattr(model, "config", None), "quantization_config", None)
    if isinstance(config, dict):
        return config.get(_SKIP_FIELDS[0])
    return getattr(config, _SKIP_FIELDS[0], None)


def _linear_classes() -> tuple[type[nn.Module], ...]:
    layers = require("bitsandbytes", "Quantization", "quantization").nn
    return layers.Linear4bit, layers.Linear8bitLt
