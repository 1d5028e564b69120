"""Subject of the benchmark: a checkpoint, or a model of true size with random weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from molmo_point.errors import InputError
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import ImageLayout
from molmo_point.model.load import load_backend
from molmo_point.model.molmo_backend import MolmoBackend

RANDOM_SHAPES = ("molmo-7b-d",)
_SPARE_BYTES = 3 << 30


@dataclass(frozen=True)
class Subject:
    """A model with what it needs to be asked.

    Attributes:
        name: What the report calls it.
        model: `MolmoForCausalLM`, in eval mode.
        processor: Its tokenizer and image settings.
        trained: False for random weights, whose words mean nothing.
    """

    name: str
    model: Any
    processor: Any
    trained: bool

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.model.dtype


def load_subject(source: str | Path, name: str, device: str | None = None) -> Subject:
    """A checkpoint of Molmo v1.

    Raises:
        CheckpointError: It cannot be used.
        InputError: It is of a family that has no drafting decoder, or the device does not exist.
    """
    backend = load_backend(source, device=device)
    if not isinstance(backend, MolmoBackend):
        raise InputError("Only Molmo v1 decodes with drafts", f"{source}: {backend.dialect}", "pass a checkpoint of Molmo v1")
    return Subject(name, backend.model, backend.processor, True)


def random_subject(shape: str, tokenizer: Path, device: str | None = None, layers: int | None = None) -> Subject:
    """A model of true size with random weights, made where it runs: bfloat16 on a GPU, float32 on a CPU.

    Args:
        shape: One of `RANDOM_SHAPES`.
        tokenizer: Folder of the tokenizer that writes the scripts.
        device: Where; None takes a GPU where there is one.
        layers: Blocks of the decoder instead of all of them.

    Raises:
        InputError: The shape is unknown, or the memory is too small; the message states the need.
    """
    if shape not in RANDOM_SHAPES:
        raise InputError("SHAPE must be a known one", repr(shape), f"use one of {', '.join(RANDOM_SHAPES)}")
    config = MolmoConfig()
    if layers is not None:
        if not 1 <= layers <= config.num_hidden_layers:
            raise InputError("--layers must be within the model", str(layers), f"use 1 to {config.num_hidden_layers}")
        config.num_hidden_layers = layers
    chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype = torch.bfloat16 if chosen.type == "cuda" else torch.float32
    with torch.device("meta"):
        empty: Any = MolmoForCausalLM(config)
    _check_room(empty, chosen, dtype, shape)
    model: Any = empty.to(dtype).to_empty(device=chosen).eval()
    generator = torch.Generator(chosen).manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "ln_f" in name or "pre_ln" in name:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                parameter.normal_(0.0, config.initializer_range, generator=generator)
    cut = "" if layers is None else f", {layers} of 28 layers"
    words = MolmoProcessor.from_pretrained(tokenizer)
    processor = MolmoProcessor(words.tokenizer, ImageLayout())
    return Subject(f"{shape} with random weights{cut}", model, processor, False)


def _check_room(model: Any, device: torch.device, dtype: torch.dtype, shape: str) -> None:
    values = sum(p.numel() for p in model.parameters())
    needed = values * (torch.finfo(dtype).bits // 8) + _SPARE_BYTES
    free = _free_bytes(device)
    if free is not None and needed > free:
        per_layer = sum(p.numel() for p in model.model.transformer["blocks"][0].parameters()) * (torch.finfo(dtype).bits // 8)
        fits = int((free - needed) / per_layer + len(model.model.transformer["blocks"]))
        fix = f"use --layers {fits} or less" if fits >= 1 else "use a machine with more memory"
        raise InputError(
            f"{shape} does not fit into the memory of this device",
            f"{needed / 1e9:.0f} GB needed in {str(dtype).removeprefix('torch.')}, {free / 1e9:.0f} GB free on {device}",
            fix,
        )


def _free_bytes(device: torch.device) -> int | None:
    """Free memory; None where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
