"""Memory needs of a checkpoint in each precision, from names and shapes alone."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from molmo_point.model.checkpoint.published_sizes import Flavor

PRECISIONS = ("fp32", "bf16", "int8", "nf4")
TYPICAL_TOKENS = 1500
"""Tokens of a typical question: up to about 1400 for an image of 13 crops, plus words and answer."""
_NF4_BLOCK = 64
_CONNECTOR = ("image_pooling_2d", "image_projector", "multi_modal_projector", "pad_embed")
_VISION = ("vision_backbone", "vision_tower", "image_vit")
_KEPT_WEIGHTS = ("transformer.ff_out.weight", "lm_head.weight", ".gate.weight", ".router.layer.weight")
_EMBEDDINGS = ("wte", "embed_tokens")


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers of parameters: in total, active for one token, and of each part."""

    total: int
    active: int
    vision: int
    connector: int
    language: int


@dataclass(frozen=True)
class MemoryNeed:
    """Memory need in one precision; all sizes in bytes.

    Attributes:
        precision: "fp32", "bf16", "int8" or "nf4" (bitsandbytes, with all other weights in bf16).
        weights_bytes: Size of the weights.
        kept_bytes: Size of the weights that int8 and NF4 keep in bf16; 0 for the others.
        cache_bytes_per_token: Size of the keys and values of one token.
        cache_bytes: Size of the keys and values of `TYPICAL_TOKENS`.
    """

    precision: str
    weights_bytes: int
    kept_bytes: int
    cache_bytes_per_token: int
    cache_bytes: int

    @property
    def total_bytes(self) -> int:
        """Size of weights and a typical cache, without activations and the GPU's own context."""
        return self.weights_bytes + self.cache_bytes

    @property
    def on_cpu_bytes(self) -> int:
        """Size on a CPU, where int8 and NF4 models keep all other weights and the cache in float32."""
        return self.total_bytes + (self.kept_bytes + self.cache_bytes if self.kept_bytes else 0)


def physical_memory_bytes() -> int | None:
    """Size of this machine's memory in bytes; None if the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def part_of(name: str) -> str:
    """Name the part of a tensor, "vision", "connector" or "language", from its name in any dialect."""
    if any(word in name for word in _CONNECTOR):
        return "connector"
    return "vision" if any(word in name for word in _VISION) else "language"


def is_rounded(name: str, shape: tuple[int, ...]) -> bool:
    """Test if int8 and NF4 quantize a tensor: most matrices of the language model, without embeddings, head and routers."""
    if len(shape) != 2 or not name.endswith(".weight") or part_of(name) != "language":
        return False
    return not name.endswith(_KEPT_WEIGHTS) and not any(word in name for word in _EMBEDDINGS)


def count_parameters(shapes: Iterable[tuple[str, tuple[int, ...]]], flavor: Flavor | None) -> ParameterCounts:
    """Count the parameters of (name, shape) pairs; the flavor tells the active experts, None counts all as active."""
    counts = {"vision": 0, "connector": 0, "language": 0}
    in_experts = 0
    for name, shape in shapes:
        size = prod(shape)
        counts[part_of(name)] += size
        in_experts += size if ".experts." in name else 0
    total = sum(counts.values())
    experts = flavor.experts if flavor is not None else 0
    idle = in_experts * (experts - flavor.experts_per_token) // experts if flavor is not None and experts else 0
    return ParameterCounts(total, total - idle, counts["vision"], counts["connector"], counts["language"])


def memory_needs(shapes: Iterable[tuple[str, tuple[int, ...]]], flavor: Flavor) -> tuple[MemoryNeed, ...]:
    """Compute the memory of weights (name, shape) and a typical cache in each of `PRECISIONS`.

    int8 has a float32 scale per row of a matrix. NF4 has half a byte per value and a float32 scale per 64 values.
    """
    weights = dict.fromkeys(PRECISIONS, 0)
    kept = 0
    for name, shape in shapes:
        size = prod(shape)
        weights["fp32"] += 4 * size
        weights["bf16"] += 2 * size
        if is_rounded(name, shape):
            weights["int8"] += size + 4 * shape[0]
            weights["nf4"] += (size + 1) // 2 + 4 * -(-size // _NF4_BLOCK)
        else:
            kept += 2 * size
    needs = []
    for precision in PRECISIONS:
        rest = kept if precision in ("int8", "nf4") else 0
        token = flavor.cache_bytes_per_token * (2 if precision == "fp32" else 1)
        needs.append(MemoryNeed(precision, weights[precision] + rest, rest, token, token * TYPICAL_TOKENS))
    return tuple(needs)
