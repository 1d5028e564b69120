"""Do the tensors of the files fit the model that the configuration describes?"""

from functools import cache

import torch

from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.checkpoint.tensor_names import name_in_memory, released_name, state_in_memory
from molmo_point.model.checkpoint.weight_files import Problem, StoredTensor, StoredWeights, listed

_SAME = "use config.json and weights of the same checkpoint"
_UNROUNDED = "use the checkpoint with float32, bfloat16 or float16 weights: quantization is done while it is loaded"
_FLOATS = ("F16", "BF16", "F32", "F64")
_Shape = tuple[int, ...]


def expected_shapes(config: MolmoConfig) -> dict[str, _Shape]:
    """Shape of every tensor of the model, by its name in memory; takes no memory for weights."""
    with torch.device("meta"):
        model = MolmoForCausalLM(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def misfits(weights: StoredWeights, config: MolmoConfig) -> list[Problem]:
    """Finds every stored tensor that is missing, unexpected, of another shape, or of no floating type.

    Args:
        weights: What the files hold. Tensors of files that could not be read are not reported as missing again.
        config: The model that they should make.

    Returns:
        At most one problem for each file and kind, each with all its tensors; empty if everything fits.
    """
    expected = expected_shapes(config)
    source: dict[str, StoredTensor] = {}
    found: dict[str, list[tuple[StoredTensor, str]]] = {"duplicate": [], "unexpected": [], "shape": [], "dtype": []}
    for tensor in weights.tensors.values():
        for name, shape in _in_memory(tensor, config.num_experts).items():
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
    problems = _missing(weights, [name for name in expected if name not in source], config.num_experts)
    for kind, entries in found.items():
        problems += _by_file(kind, entries)
    return problems


def _in_memory(tensor: StoredTensor, num_experts: int) -> dict[str, _Shape]:
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


def _size(shape: _Shape) -> str:
    return "×".join(map(str, shape)) if shape else "a single number"
