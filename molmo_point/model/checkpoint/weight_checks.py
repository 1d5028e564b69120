"""Refuses broken files of a checkpoint before any weight is read."""

from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from molmo_point.errors import CheckpointError
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.checkpoint.weight_files import read_json, weights_of, words_of
from molmo_point.model.checkpoint.weight_fit import misfits

_NUMBERS = ("eos_token_id", "bos_token_id", "pad_token_id", "max_length", "max_new_tokens", "num_beams")
DOCTOR = "molmo-point doctor --model {folder} lists everything"


def check_weights(folder: Path, config: MolmoConfig | None, ignore_shapes: bool = False) -> int:
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
    problems = [*weights.problems, *(misfits(weights, config) if config is not None and weights.tensors else ())]
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
