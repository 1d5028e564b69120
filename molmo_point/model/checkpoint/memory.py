"""What a checkpoint's weights take in each precision, from names and shapes alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from molmo_point.model.checkpoint.published_sizes import Flavour

PRECISIONS = ("fp32", "bf16", "int8", "nf4")
TYPICAL_TOKENS = 1500
"""An image in 13 crops takes up to about 1400 tokens; with the words and the answer, this."""
_NF4_BLOCK = 64
_CONNECTOR = ("image_pooling_2d", "image_projector", "multi_modal_projector", "pad_embed")
_VISION = ("vision_backbone", "vision_tower", "image_vit")
_KEPT_WEIGHTS = ("transformer.ff_out.weight", "lm_head.weight", ".gate.weight", ".router.layer.weight")
_EMBEDDINGS = ("wte", "embed_tokens")


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers of values: all of them, those that one token goes through, and of each part."""

    total: int
    active: int
    vision: int
    connector: int
    language: int


@dataclass(frozen=True)
class MemoryNeed:
    """What one precision takes.

    Attributes:
        precision: "fp32", "bf16", "int8" or "nf4" (bitsandbytes; what is not rounded is in bf16).
        weights_bytes: The weights.
        kept_bytes: What of them int8 and NF4 leave in bf16; 0 for the others.
        cache_bytes_per_token: Keys and values of one token.
        cache_bytes: The same for `TYPICAL_TOKENS`.
    """

    precision: str
    weights_bytes: int
    kept_bytes: int
    cache_bytes_per_token: int
    cache_bytes: int

    @property
    def total_bytes(self) -> int:
        """Weights and a typical cache; activations and the GPU's own context come on top."""
        return self.weights_bytes + self.cache_bytes

    @property
    def on_cpu_bytes(self) -> int:
        """The same on a processor, where what would be in 16 bits beside rounded weights is in float32."""
        return self.total_bytes + (self.kept_bytes + self.cache_bytes if self.kept_bytes else 0)


def part_of(name: str) -> str:
    """ "vision", "connector" or "language", from a tensor's name in any dialect of the family."""
    if any(word in name for word in _CONNECTOR):
        return "connector"
    return "vision" if any(word in name for word in _VISION) else "language"


def is_rounded(name: str, shape: tuple[int, ...]) -> bool:
    """Whether int8 and NF4 would store this tensor so: the language model's matrices, save what must stay exact.

    Embeddings, head and the routers of experts stay as they are, and so does all that makes image vectors.
    """
    if len(shape) != 2 or not name.endswith(".weight") or part_of(name) != "language":
        return False
    return not name.endswith(_KEPT_WEIGHTS) and not any(word in name for word in _EMBEDDINGS)


def count_parameters(shapes: Iterable[tuple[str, tuple[int, ...]]], flavour: Flavour | None) -> ParameterCounts:
    """Adds up values.

    Args:
        shapes: Name and shape of every tensor.
        flavour: Says how many experts are active; None counts all as active.
    """
    counts = {"vision": 0, "connector": 0, "language": 0}
    in_experts = 0
    for name, shape in shapes:
        size = prod(shape)
        counts[part_of(name)] += size
        in_experts += size if ".experts." in name else 0
    total = sum(counts.values())
    experts = flavour.experts if flavour is not None else 0
    idle = in_experts * (experts - flavour.experts_per_token) // experts if flavour is not None and experts else 0
    return ParameterCounts(total, total - idle, counts["vision"], counts["connector"], counts["language"])


def memory_needs(shapes: Iterable[tuple[str, tuple[int, ...]]], flavour: Flavour) -> tuple[MemoryNeed, ...]:
    """What the weights and a typical cache take in each of `PRECISIONS`.

    int8 has a float32 scale for every row of a matrix; NF4 has half a byte for every value and a float32 scale for
    every 64 of them. With either, everything else is in 16 bits.

    Args:
        shapes: Name and shape of every tensor.
        flavour: For the size of the cache.
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
        token = flavour.cache_bytes_per_token * (2 if precision == "fp32" else 1)
        needs.append(MemoryNeed(precision, weights[precision] + rest, rest, token, token * TYPICAL_TOKENS))
    return tuple(needs)
