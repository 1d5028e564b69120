"""Checks of the files of a checkpoint before any weight is read."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from molmo_point.errors import CheckpointError
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.checkpoint.tensor_names import name_in_memory, released_name, state_in_memory
from molmo_point.model.checkpoint.weight_files import (
    Problem,
    StoredTensor,
    StoredWeights,
    listed,
    read_object,
    weights_of,
    words_of,
)

_NUMBERS = {
    **dict.fromkeys(("eos_token_id", "bos_token_id", "pad_token_id"), (0, 1 << 24)),
    **dict.fromkeys(("max_length", "max_new_tokens", "min_length", "min_new_tokens", "top_k"), (0, 1 << 24)),
    **dict.fromkeys(("num_beams", "num_return_sequences"), (1, 256)),
}
_SAME = "use config.json and weights of the same checkpoint"
_UNROUNDED = "use the checkpoint with float32, bfloat16 or float16 weights: quantization is done while it is loaded"
_name = cache(name_in_memory)
_FLOATS = ("F16", "BF16", "F32", "F64")
Shape = tuple[int, ...]


def check_weights(folder: Path, model_class: Any, config: MolmoConfig | None, ignore_shapes: bool = False) -> None:
    """Check the weight files by names, sizes and headers, and compare their tensors with the model unless ``config`` is None.

    Raises:
        CheckpointError: There is a problem; the error has the first one and the number of others.
    """
    weights = weights_of(folder)
    problems = [*weights.problems]
    if config is not None and weights.tensors:
        problems += misfits(weights, expected_shapes(model_class, config), config.num_experts)
    problems = [problem for problem in problems if not (ignore_shapes and problem.kind == "shape")]
    if not problems:
        return
    first, *others = problems
    given = f"{folder / first.file}: {first.text}" if first.file else f"{folder}: {first.text}"
    if others:
        given += (
            f" (and {len(others)} more problem{'s' if others[1:] else ''}: molmo-point doctor --model {folder} lists everything)"
        )
    broken = first.kind in ("folder", "file", "duplicate")
    what = "The weights cannot be read" if broken else "The weights must match the configuration"
    raise CheckpointError(what, given, first.fix)


def check_generation(folder: Path) -> None:
    """Check ``generation_config.json`` if it exists; CheckpointError if it is broken or has invalid values.

    transformers silently ignores a broken one and loses its end tokens, or fails without naming it.
    """
    path, fix = folder / "generation_config.json", "download it again, or delete it"
    data = read_object(path, fix)
    try:
        for name, (low, high) in _NUMBERS.items():
            values = data[name] if isinstance(data.get(name), list) else [data.get(name)]
            if any(value is not None and (type(value) is not int or not low <= value <= high) for value in values):
                raise ValueError(f"{name} is {str(data[name])[:60]}, which is not an integer from {low} to {high}")
        GenerationConfig.from_dict(data)
    except Exception as error:  # JSON, types and contradictions raise many kinds with one meaning
        given = f"{path}: {words_of(error)}"
        raise CheckpointError("generation_config.json cannot be read", given, fix) from error


def expected_shapes(model_class: Any, config: MolmoConfig) -> dict[str, Shape]:
    """Shape of every tensor of the model, by its name in memory; allocates no weights."""
    try:
        with torch.device("meta"):
            model = model_class(config)
    except Exception as error:  # transformers raises many kinds for settings that it does not know
        given = f"config.json: {words_of(error)}"
        raise CheckpointError("config.json must describe a Molmo", given, "download config.json again") from error
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def misfits(weights: StoredWeights, expected: Mapping[str, Shape], num_experts: int) -> list[Problem]:
    """Find every stored tensor that is missing, unexpected, of another shape, or not floating point.

    ``expected`` has the shapes by names in memory; 0 experts means dense. There is at most one problem per file and kind,
    with all its tensors. Tensors of unreadable files are not reported as missing again.
    """
    source: dict[str, StoredTensor] = {}
    found: dict[str, list[tuple[StoredTensor, str]]] = {"duplicate": [], "unexpected": [], "shape": [], "dtype": []}
    for tensor in weights.tensors.values():
        for name, shape in _in_memory(tensor, num_experts).items():
            if name in source:
                found["duplicate"].append((tensor, f"{tensor.name} is the same tensor of the model as {source[name].name}"))
            source[name] = tensor
            if name not in expected:
                found["unexpected"].append((tensor, f"{tensor.name} does not belong to this model"))
            elif shape != expected[name]:
                text = f"{tensor.name} is {_size(shape)}, but must be {_size(expected[name])}"
                found["shape"].append((tensor, text))
            elif tensor.dtype not in _FLOATS:
                found["dtype"].append((tensor, f"{tensor.name} has the type {tensor.dtype}, which is not floating point"))
    problems = _missing(weights, [name for name in expected if name not in source], num_experts)
    for kind, entries in found.items():
        problems += _by_file(kind, entries)
    return problems


def _in_memory(tensor: StoredTensor, num_experts: int) -> dict[str, Shape]:
    """Convert a stored tensor to its name in memory; a stack of experts gives one tensor per expert."""
    try:
        state = state_in_memory({tensor.name: torch.empty(tensor.shape, device="meta")}, num_experts)
    except (RuntimeError, ValueError, KeyError, TypeError):  # a stack that cannot be split is unexpected
        return {tensor.name: tensor.shape}
    return {name: tuple(piece.shape) for name, piece in state.items()}


def _missing(weights: StoredWeights, names: list[str], num_experts: int) -> list[Problem]:
    """Report missing tensors, except those of broken files and those that the index already misses."""
    broken = {problem.file for problem in weights.problems if problem.kind == "file"}
    if broken and not weights.promised:
        return []
    told = {_name(name) for problem in weights.problems for name in problem.tensors}
    told |= {_name(name) for name, file in weights.promised.items() if file in broken}
    lost = [released_name(name, num_experts) for name in names if name not in told]
    if not lost:
        return []
    file = weights.index or (weights.files[0].name if weights.files else "")
    words = f"{len(lost)} tensors of the model are missing" if lost[1:] else "a tensor of the model is missing"
    return [Problem("missing", file, f"{words}: {listed(lost)}", f"{_SAME}; if they are, download it again", tuple(lost))]


def _by_file(kind: str, entries: list[tuple[StoredTensor, str]]) -> list[Problem]:
    files: dict[str, dict[str, str]] = {}
    for tensor, text in entries:
        files.setdefault(tensor.file, {}).setdefault(tensor.name, text)
    fix = _UNROUNDED if kind == "dtype" else _SAME
    problems = []
    for file, texts in sorted(files.items()):
        first, *others = texts
        more = f"; the same holds for {len(others)} more: {listed(others)}" if others else ""
        problems.append(Problem(kind, file, texts[first] + more, fix, tuple(texts)))
    return problems


def _size(shape: Shape) -> str:
    return "×".join(map(str, shape)) if shape else "a single number"
