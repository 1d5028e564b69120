"""Refuses broken files of a checkpoint before any weight is read."""

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
    read_json,
    weights_of,
    words_of,
)

_NUMBERS = ("eos_token_id", "bos_token_id", "pad_token_id", "max_length", "max_new_tokens", "num_beams")
DOCTOR = "molmo-point doctor --model {folder} lists everything"
_SAME = "use config.json and weights of the same checkpoint"
_UNROUNDED = "use the checkpoint with float32, bfloat16 or float16 weights: quantization is done while it is loaded"
_FLOATS = ("F16", "BF16", "F32", "F64")
Shape = tuple[int, ...]


def check_weights(folder: Path, model_class: Any, config: MolmoConfig | None, ignore_shapes: bool = False) -> int:
    """Looks at names, sizes and headers of the weight files, and compares the tensors with those of the model.

    Args:
        folder: Checkpoint folder.
        config: The model that the files should make; None looks at the files alone.
        ignore_shapes: Accept tensors of another shape.

    Returns:
        Size of the weight files, bytes.

    Raises:
        CheckpointError: Something is wrong; the first problem, with its file, and how many more there are.
    """
    weights = weights_of(folder)
    problems = [*weights.problems]
    if config is not None and weights.tensors:
        problems += misfits(weights, expected_shapes(model_class, config), config.num_experts)
    problems = [problem for problem in problems if not (ignore_shapes and problem.kind == "shape")]
    if not problems:
        return weights.size_bytes
    first, *others = problems
    given = f"{folder / first.file}: {first.text}" if first.file else f"{folder}: {first.text}"
    if others:
        given += f" (and {len(others)} more problem{'s' if others[1:] else ''}: {DOCTOR.format(folder=folder)})"
    broken = first.kind in ("folder", "file", "duplicate")
    what = "The weights cannot be read" if broken else "The weights do not fit the configuration"
    raise CheckpointError(what, given, first.fix)


def check_generation(folder: Path) -> None:
    """Looks at ``generation_config.json``, if there is one.

    transformers passes over a broken one in silence, and its end tokens would be lost; or it fails without naming it.

    Raises:
        CheckpointError: It cannot be read, or holds what cannot be.
    """
    path = folder / "generation_config.json"
    if not path.exists():
        return
    try:
        data: Any = read_json(path)
        if not isinstance(data, dict):
            raise ValueError(f"it holds a {type(data).__name__}, not an object")
        for name in _NUMBERS:
            values = data[name] if isinstance(data.get(name), list) else [data.get(name)]
            if any(value is not None and type(value) is not int for value in values):
                raise ValueError(f"{name} is {data[name]!r}, which is no whole number")
        GenerationConfig.from_dict(data)
    except Exception as error:  # JSON, types and contradictions: many kinds, one meaning
        given = f"{path}: {words_of(error)}"
        raise CheckpointError("generation_config.json cannot be read", given, "download it again, or delete it") from error


def expected_shapes(model_class: Any, config: MolmoConfig) -> dict[str, Shape]:
    """Shape of every tensor of the model, by its name in memory; allocates no weights."""
    with torch.device("meta"):
        model = model_class(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def misfits(weights: StoredWeights, expected: Mapping[str, Shape], num_experts: int) -> list[Problem]:
    """Finds every stored tensor that is missing, unexpected, of another shape, or of no floating type.

    Args:
        weights: What the files hold. Tensors of files that could not be read are not reported as missing again.
        config: The model that they should make.

    Returns:
        At most one problem for each file and kind, each with all its tensors; empty if everything fits.
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
                found["dtype"].append((tensor, f"{tensor.name} is of type {tensor.dtype}, which is no floating-point type"))
    problems = _missing(weights, [name for name in expected if name not in source], num_experts)
    for kind, entries in found.items():
        problems += _by_file(kind, entries)
    return problems


def _in_memory(tensor: StoredTensor, num_experts: int) -> dict[str, Shape]:
    """What a stored tensor becomes: itself under another name or, of stacked experts, one for each expert."""
    try:
        state = state_in_memory({tensor.name: torch.empty(tensor.shape, device="meta")}, num_experts)
    except (RuntimeError, ValueError, KeyError, TypeError):  # a stack that cannot be split is not one of ours
        return {tensor.name: tensor.shape}
    return {name: tuple(piece.shape) for name, piece in state.items()}


@cache
def _name(name: str) -> str:
    return name_in_memory(name)


def _missing(weights: StoredWeights, names: list[str], num_experts: int) -> list[Problem]:
    """A broken file is a problem of its own; what the index puts there, or has promised and not kept, was told already."""
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
