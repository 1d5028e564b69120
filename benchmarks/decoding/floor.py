"""Limits of the machine, measured by a copy and a matrix product in the run that is to be judged."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

_REPEATS = 5


@dataclass(frozen=True)
class Floor:
    """Rates of the machine.

    Attributes:
        bytes_per_s: Memory traffic of a copy, bytes read plus bytes written per second.
        flop_per_s: Operations per second of a square matrix product in the model's precision.
    """

    bytes_per_s: float
    flop_per_s: float

    def ms(self, moved_bytes: float, flop: float) -> float:
        """Least time for so many bytes and operations, milliseconds: the longer of the two."""
        return 1e3 * max(moved_bytes / self.bytes_per_s, flop / self.flop_per_s)


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Make a function that waits for a device's queued work; on a CPU it returns at once."""
    return (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)


@torch.inference_mode()
def measure_floor(device: torch.device, dtype: torch.dtype, quick: bool = False) -> Floor:
    """Copy a buffer and multiply two matrices, and take the best of several rounds."""
    on_gpu = device.type == "cuda"
    side = 8192 if on_gpu else 512 if quick else 1024
    size = (1 << 30) if on_gpu else (1 << 24) if quick else (1 << 27)
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    left = torch.ones(side, side, dtype=dtype, device=device)
    wait = synchronizer(device)
    copy_s = _best(lambda: target.copy_(source), wait)
    product_s = _best(lambda: left @ left, wait)
    return Floor(2 * size / copy_s, 2 * side**3 / product_s)


def _best(work: Callable[[], Any], wait: Callable[[], None]) -> float:
    times = []
    for _ in range(_REPEATS):
        wait()
        started = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - started)
    return min(times)


def language_work(model: Any, positions: int, context: int) -> tuple[float, float]:
    """Bytes and operations of a pass of the decoder and its head over some positions.

    Args:
        model: `MolmoForCausalLM`.
        positions: New positions.
        context: Positions that are in the cache.
    """
    config, transformer = model.config, model.model.transformer
    weights = list(transformer["blocks"].parameters())
    head = transformer["ff_out"].weight
    size = head.element_size()
    held = context * config.num_hidden_layers * 2 * config.num_key_value_heads * config.head_dim * size
    moved = sum(p.numel() * p.element_size() for p in weights) + head.numel() * size + held
    attention = 4 * config.num_hidden_layers * config.hidden_size * positions * (context + positions / 2)
    # The head is asked about the last place of a prefill, and about every place of a short pass.
    asked = positions if positions <= 64 else 1
    return float(moved), float(2 * sum(p.numel() for p in weights) * positions + 2 * head.numel() * asked + attention)


def vision_work(model: Any, crops: int) -> tuple[float, float]:
    """Bytes and operations of the vision blocks that are needed, for so many crops."""
    vit = model.model.vision_backbone.image_vit
    late, _ = vit.config.feature_layers
    weights = [*vit.patch_embedding.parameters(), *(p for b in vit.transformer.resblocks[: late + 1] for p in b.parameters())]
    tokens = vit.config.patches_per_side**2 + 1
    attention = 4 * (late + 1) * vit.config.hidden_size * tokens**2
    moved = sum(p.numel() * p.element_size() for p in weights)
    return float(moved), float(crops * (2 * sum(p.numel() for p in weights) * tokens + attention))


def connector_work(model: Any, crops: int, used: int) -> tuple[float, float]:
    """Bytes and operations of pooling all tokens and projecting those that are used."""
    backbone = model.model.vision_backbone
    pool = sum(p.numel() for p in backbone.image_pooling_2d.parameters())
    project = sum(p.numel() for p in backbone.image_projector.parameters())
    size = backbone.pad_embed.element_size()
    tokens = crops * backbone.vision.tokens_per_side**2
    # Of the pooling's four matrices two are applied to each of four patches.
    return float((pool + project) * size), float(2 * (pool * 2.5 * tokens + project * used))
