"""What bitsandbytes may round and what it must leave alone, said before loading and verified after it."""

import copy
import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from molmo_point.errors import CheckpointError, DependencyError, InputError

SKIPPED_MODULES = (
    "model.vision_backbone",
    "model.transformer.wte",
    "model.transformer.ff_out",
    r"model\.transformer\.blocks\.\d+\.mlp\.gate",
)
"""What stays in high precision: vision tower and connector, embeddings, head, routers of experts.

Full names from the start, because transformers 5 reads each entry as a pattern anchored there, or as a
suffix: a bare ``vision_backbone`` would keep nothing and a bare ``ff_out`` every block's projection.
"""

_KINDS = ("int8", "nf4")
# bitsandbytes has one such list, the other methods of transformers have theirs under the second name
_SKIP_FIELDS = ("llm_int8_skip_modules", "modules_to_not_convert")
# bitsandbytes reorders 32 rows and whole scale blocks of 64 columns at a time, and fails on what is left over
_PACKED_BLOCK = (32, 64)


def default_quantization(kind: str, compute_dtype: torch.dtype | None = None) -> Any:
    """The configuration behind ``quantization="int8"`` and ``"nf4"``.

    Args:
        kind: ``"int8"`` (half of bfloat16) or ``"nf4"`` (a quarter).
        compute_dtype: What NF4 weights are expanded to; should be the dtype of what is not
            quantized, as `load_backend` does. None = bfloat16 where there is a GPU, float32
            elsewhere (16-bit products are emulated on most CPUs).

    Returns:
        A ``transformers.BitsAndBytesConfig`` that leaves `SKIPPED_MODULES` alone.

    Raises:
        InputError: There is no such kind.
        DependencyError: bitsandbytes cannot be imported.
    """
    if kind not in _KINDS:
        raise InputError("There is no such quantization", repr(kind), "use 'int8', 'nf4' or None")
    _linear_classes()
    from transformers import BitsAndBytesConfig

    if kind == "int8":
        return with_default_skips(BitsAndBytesConfig(load_in_8bit=True))
    dtype = compute_dtype or (torch.bfloat16 if torch.cuda.is_available() else torch.float32)
    return with_default_skips(BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype))


def with_default_skips(config: Any) -> Any:
    """The same quantization, with what must stay in high precision added to what it skips.

    Args:
        config: A quantization configuration of transformers, the same as a dict, or None. An empty
            skip list is taken at its word: everything is quantized, the vision tower as well.

    Returns:
        A copy (None for None); a method without a skip list comes back as it is.
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
    if skips is not None and not skips:
        return []
    return [*(skips or ()), *(name for name in SKIPPED_MODULES if name not in (skips or ()))]


def _is_bitsandbytes(config: dict[str, Any]) -> bool:
    method = config.get("quant_method", "bitsandbytes")
    return getattr(method, "value", method) == "bitsandbytes"


def is_quantized(model: nn.Module) -> bool:
    """Whether bitsandbytes holds weights of the model, as it was loaded."""
    return bool(getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False))


def quantized_modules(model: nn.Module) -> list[str]:
    """Names of the modules whose weights bitsandbytes holds."""
    classes = _linear_classes()
    return [name for name, module in model.named_modules() if isinstance(module, classes)]


def check_quantized(model: nn.Module) -> None:
    """Verifies by the modules themselves what a skip list only intends.

    Args:
        model: A loaded Molmo that bitsandbytes was asked to quantize.

    Raises:
        CheckpointError: A module that must stay in high precision was quantized, or none was.
        DependencyError: bitsandbytes cannot be imported.
    """
    quantized = set(quantized_modules(model))
    if not quantized:
        raise CheckpointError(
            "The model was to be quantized, but none of its modules was",
            f"skip list {_skip_list(model)}",
            "take names such as 'blocks' or 'model' out of llm_int8_skip_modules",
        )
    kept = {id(part) for module in _kept_modules(model) for part in module.modules()}
    wrong = [name for name, module in model.named_modules() if name in quantized and id(module) in kept]
    if wrong and _skip_list(model) != []:
        raise CheckpointError(
            "Modules that must stay in high precision were quantized",
            ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""),
            "leave llm_int8_skip_modules unset, or quantize the released checkpoint instead of this one",
        )


def allow_cpu_packing(model: nn.Module, allowed: bool = True) -> None:
    """Lets bitsandbytes reorder NF4 weights in place for its fast product on CPUs with AVX-512 bfloat16, or forbids it.

    A 4096 × 4096 layer then takes 0.6 ms instead of 42 ms. Only for a model that will do nothing but answer:
    bitsandbytes 0.50 expands reordered weights to noise when an adapter is merged into them, and passes no
    gradient through them. So ``Molmo.from_pretrained`` forbids it, and `load_backend` allows it.

    Args:
        model: A model as loaded; if it has no 4-bit layers, nothing happens.
        allowed: Forbid with False, before the first forward pass. Layers of a shape that
            bitsandbytes cannot reorder never are.
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


class _Once(logging.Filter):
    """Lets each text through the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        new = text not in self.seen
        self.seen.add(text)
        return new


def warn_once() -> None:
    """Keeps bitsandbytes from saying at each int8 layer of each token that inputs are cast to float16."""
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    if not any(isinstance(known, _Once) for known in logger.filters):
        logger.addFilter(_Once())


def _kept_modules(model: nn.Module) -> Iterator[nn.Module]:
    """The modules that must stay, found by their places in the model and not by patterns."""
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
    try:
        import bitsandbytes
    except ImportError as error:
        raise DependencyError("Quantization needs bitsandbytes", str(error), "pip install bitsandbytes accelerate") from error
    return bitsandbytes.nn.Linear4bit, bitsandbytes.nn.Linear8bitLt
