"""PEFT adapters of a Molmo: their base, their files, and how to apply them."""

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from molmo_point.backend import resolve_checkpoint
from molmo_point.dependencies import require
from molmo_point.errors import CheckpointError, InputError, MolmoPointError
from molmo_point.files import write_file
from molmo_point.model.checkpoint.config_bounds import entries_of
from molmo_point.model.checkpoint.finite_weights import check_finite, non_finite_problems
from molmo_point.model.checkpoint.tensor_names import name_in_memory
from molmo_point.model.checkpoint.tokenizer_bounds import may_search_for_ever
from molmo_point.model.checkpoint.weight_files import (
    Problem,
    StoredTensor,
    StoredWeights,
    WeightFile,
    listed,
    read_object,
    tensors_of_file,
    weights_of,
    words_of,
)

ADAPTER_CONFIG = "adapter_config.json"
IDENTITY = "base_identity.json"
_FILES = ("adapter_model.safetensors", "adapter_model.bin")
_LARGEST_RANK, _LARGEST_ALPHA = 4096, 1e6
_LARGEST_NUMBER, _MOST_ENTRIES = 1_000_000, 10_000
# Names of modules are short, so a pattern may have four long repetitions.
_LONGEST_PATTERN, _MOST_PATHS_BITS = 4000, 33.0
_SAMPLE = 16
# Tensors that no method quantizes and no adapter changes, in every flavor of Molmo v1.
_SAMPLED = ("ln_f.weight", "wte.embedding", "image_vit.pre_ln.weight", "image_vit.positional_embedding")
_CLOSE = 0.01
_AGAIN, _BASE = "copy the adapter again", "use it with the base that it was trained on"


def is_adapter(folder: Path) -> bool:
    """Test if a folder holds an adapter instead of a model."""
    return (folder / ADAPTER_CONFIG).is_file()


def base_of(folder: Path) -> str:
    """Read the base checkpoint of an adapter, an embedded name, folder or Hugging Face id; CheckpointError without one."""
    base = _config(folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        path = folder / ADAPTER_CONFIG
        raise CheckpointError("The adapter must name its base model", str(path), "pass the base, and the adapter as adapter=")
    return base


def with_adapter(model: Any, folder: Path, quantized: bool) -> Any:
    """Apply an adapter to a base model in eval mode, changed in place: merged into the weights, or separate if quantized.

    Raises:
        CheckpointError: The adapter is missing, broken, not finite, or belongs to another model.
        DependencyError: peft is not installed.
    """
    peft = require("peft", "An adapter", "train")
    base_of(folder)  # its errors are clearer than those of peft
    stored = check_adapter(folder)
    _check_identity(folder, model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of missing names, which are refused below
            adapted = peft.PeftModel.from_pretrained(model, str(folder))
            check_applied(folder, stored, peft.get_peft_model_state_dict(adapted))
            found = adapted.get_base_model() if quantized else adapted.merge_and_unload()
    except MolmoPointError:
        raise
    except Exception as error:  # peft, torch and safetensors raise many kinds with one meaning
        given = f"{folder}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise CheckpointError("The adapter must match the model", given, _BASE) from error
    return found.eval()


def check_adapter(folder: Path) -> tuple[StoredTensor, ...]:
    """Check the settings and the weight file of an adapter before peft reads them; return the tensors of the file.

    Raises:
        CheckpointError: A file is missing or damaged, or a setting is out of bounds.
    """
    path = folder / ADAPTER_CONFIG
    for problem in config_problems(_config(folder)):
        raise CheckpointError(f"{ADAPTER_CONFIG} must have sound settings", f"{path}: {problem}", _AGAIN)
    file = next((folder / name for name in _FILES if (folder / name).exists()), None)
    if file is None:
        raise CheckpointError("The adapter must have weights", f"no {folder / _FILES[0]}", _AGAIN)
    try:
        return tuple(tensors_of_file(file))
    except (ValueError, OSError) as error:
        raise CheckpointError("The adapter cannot be read", f"{file}: {words_of(error)}", _AGAIN) from error


def config_problems(config: Mapping[str, Any]) -> list[str]:
    """List the settings of an ``adapter_config.json`` that are out of bounds, each in words."""
    problems = []
    ranks = {"r": config.get("r", 8), **_entries(config, "rank_pattern")}
    for name, value in ranks.items():
        if type(value) is not int or not 1 <= value <= _LARGEST_RANK:
            problems.append(f"{name} is {str(value)[:40]}, but a rank is a whole number from 1 to {_LARGEST_RANK}")
    for name, value in {"lora_alpha": config.get("lora_alpha", 8), **_entries(config, "alpha_pattern")}.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST_ALPHA:
            problems.append(f"{name} is {str(value)[:40]}, which is no number up to {_LARGEST_ALPHA:g}")
    hanging = [(name, text) for name, text in _patterns(config) if _hangs(text)]
    problems += [f"{name} has a pattern that may search for ever: {text[:60]}" for name, text in hanging]
    for name, value in config.items():
        entries = entries_of(value)
        if len(entries) > _MOST_ENTRIES or any(isinstance(entry, int) and abs(entry) > _LARGEST_NUMBER for entry in entries):
            problems.append(f"{name} is {str(value)[:40]}, which is absurdly large")
    if config.get("megatron_config") is not None:
        problems.append("megatron_config asks to import further code")
    return problems


def _patterns(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List the regular expressions of an adapter, which peft compares with every module's name."""
    for name in ("target_modules", "exclude_modules", "layers_pattern"):
        found = config.get(name)
        # Names in a list are compared as they are, except those of layers.
        yield from (
            (name, text) for text in ([found] if name != "layers_pattern" else entries_of(found)) if isinstance(text, str)
        )
    for name in ("rank_pattern", "alpha_pattern"):
        yield from ((name, text) for text in _entries(config, name))


def _hangs(pattern: str) -> bool:
    return len(pattern) > _LONGEST_PATTERN or may_search_for_ever(pattern, _MOST_PATHS_BITS)


def _entries(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return {} if found is None else found if isinstance(found, dict) else {name: found}


def check_applied(folder: Path, stored: tuple[StoredTensor, ...], applied: Mapping[str, torch.Tensor]) -> None:
    """Check that the tensors of an adapter's file are those of the model that it was applied to.

    Args:
        folder: Folder of the adapter.
        stored: Tensors of its file.
        applied: The model's tensors of the adapter, by the names that peft saves, with or without their common beginning.

    Raises:
        CheckpointError: A tensor is missing, unexpected, of another shape, no floating-point number, or not finite.
    """
    wanted = {_bare(name): tensor for name, tensor in applied.items()}
    found = {_bare(tensor.name): tensor for tensor in stored}
    wrong = {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "of another shape": sorted(n for n in found.keys() & wanted.keys() if found[n].shape != tuple(wanted[n].shape)),
        "no floating-point numbers": sorted(n for n in found if found[n].dtype not in ("F64", "F32", "F16", "BF16")),
    }
    told = [f"{len(names)} tensors are {kind} ({listed(names, 2)})" for kind, names in wrong.items() if names]
    if told:
        raise CheckpointError("The adapter must match the model", f"{folder}: {'; '.join(told)}", _BASE)
    for name, tensor in applied.items():
        try:
            check_finite(name, tensor)
        except CheckpointError as error:
            raise CheckpointError(error.what, f"{folder}: {error.given}", _AGAIN) from error


def _bare(name: str) -> str:
    return name.removeprefix("base_model.model.")


def write_identity(model: Any, folder: Path) -> None:
    """Write a few numbers of the base model next to an adapter, by which another base is found out."""
    write_file(folder / IDENTITY, f"{json.dumps(_sample(model))}\n".encode())


def _check_identity(folder: Path, model: Any) -> None:
    """Compare the base with the numbers in `IDENTITY`, or else with the base that the adapter names, if it is here."""
    known = read_object(folder / IDENTITY, _AGAIN) or _sample_of_named_base(folder, model)
    mine = _sample(model)
    for name, numbers in known.items():
        here = mine.get(name)
        if not isinstance(numbers, list) or here is None or not _same(numbers, here):
            given = f"{folder}: {name} of its base differs from that of {model.name_or_path or 'this model'}"
            raise CheckpointError("The adapter must be applied to its own base", given, _BASE)


def _sample_of_named_base(folder: Path, model: Any) -> dict[str, list[float]]:
    try:
        named = Path(resolve_checkpoint(base_of(folder)))
    except InputError:  # a folder of another machine
        return {}
    if not named.is_dir() or named.resolve() == Path(model.name_or_path).resolve():
        return {}
    found: dict[str, list[float]] = {}
    for tensor in weights_of(named, look_into_bins=False).tensors.values():
        name = name_in_memory(tensor.name)
        if name.endswith(_SAMPLED) and tensor.file.endswith(".safetensors"):
            with safe_open(named / tensor.file, framework="pt") as file:
                found[name] = _spread_values(file.get_tensor(tensor.name))
    return found


def _same(known: list[Any], mine: list[float]) -> bool:
    numbers = all(isinstance(value, (int, float)) for value in known)
    if not numbers or len(known) != len(mine):
        return False
    # A copy of the base in another precision differs in the third digit.
    return all(abs(a - b) <= _CLOSE * max(abs(a), abs(b), 1e-3) for a, b in zip(known, mine, strict=True))


def _sample(model: Any) -> dict[str, list[float]]:
    """Take a few numbers of the tensors that tell checkpoints of one architecture apart."""
    found: dict[str, list[float]] = {}
    for name, parameter in model.named_parameters():
        bare = name.replace("base_model.model.", "", 1)
        if bare.endswith(_SAMPLED) and not parameter.is_meta:
            found[bare] = _spread_values(parameter)
    return found


def _spread_values(tensor: torch.Tensor) -> list[float]:
    """Return a few values of a tensor, evenly apart."""
    values = tensor.detach().flatten()
    return values[:: max(1, len(values) // _SAMPLE)][:_SAMPLE].float().cpu().tolist()


def _config(folder: Path) -> dict[str, Any]:
    fix = "pass the folder that holds adapter_config.json"
    missing = CheckpointError("The folder must hold an adapter", str(folder), fix)
    return read_object(folder / ADAPTER_CONFIG, _AGAIN, missing)


def adapter_problems(folder: Path) -> list[Problem]:
    """Find the faults of settings and weights that show without the base; the doctor reports them."""
    try:
        base_of(folder)
        stored = check_adapter(folder)
    except CheckpointError as error:
        return [Problem("weights", "", f"{error.what} ({error.given})", error.fix)]
    return non_finite_problems(folder, StoredWeights((WeightFile(stored[0].file, 0, len(stored)),)))


def foreign_problems(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> list[Problem]:
    """Find low-rank tensors of a sound adapter that fit no layer of the base, of which the shapes are given by name."""
    wrong = []
    for tensor in check_adapter(folder):
        layer, kind, _ = _bare(tensor.name).partition(".lora_A." if ".lora_A." in tensor.name else ".lora_B.")
        shape = shapes.get(f"{layer}.weight", ())
        side = 1 if "A" in kind else 0
        if kind and (len(shape) != 2 or len(tensor.shape) != 2 or tensor.shape[side] != shape[side]):
            wrong.append(tensor)
    if not wrong:
        return []
    names = tuple(tensor.name for tensor in wrong)
    return [Problem("shape", wrong[0].file, f"{len(names)} tensors fit no layer of the base ({listed(names, 2)})", _BASE, names)]
