"""PEFT adapters of a Molmo: what they belong to, and how they come onto it."""

from pathlib import Path
from typing import Any

from molmo_point.errors import CheckpointError, DependencyError
from molmo_point.model.checkpoint.weight_files import read_json, words_of

ADAPTER_CONFIG = "adapter_config.json"


def import_peft() -> Any:
    """The library.

    Raises:
        DependencyError: It is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise DependencyError("Adapters need peft", str(error), 'pip install "molmo_point[train]"') from error
    return peft


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter rather than a model."""
    return (folder / ADAPTER_CONFIG).is_file()


def base_of(folder: Path) -> str:
    """The checkpoint that an adapter was trained on: embedded name, folder, or Hugging Face id.

    Raises:
        CheckpointError: The folder holds no adapter, or it does not say.
    """
    path = folder / ADAPTER_CONFIG
    try:
        base = read_json(path).get("base_model_name_or_path")
    except FileNotFoundError as error:
        fix = "pass the folder that holds adapter_config.json"
        raise CheckpointError("There is no adapter", str(folder), fix) from error
    except (ValueError, OSError, AttributeError) as error:
        given = f"{path}: {words_of(error)}"
        raise CheckpointError("The adapter's settings cannot be read", given, "copy the adapter again") from error
    if not isinstance(base, str) or not base:
        fix = "pass the base, and the adapter as adapter="
        raise CheckpointError("The adapter does not say what it was trained on", str(path), fix)
    return base


def with_adapter(model: Any, folder: Path, quantized: bool) -> Any:
    """A model with an adapter in it: added to the weights, or beside them where those are quantized.

    Args:
        model: The base, in eval mode; it is changed.
        folder: The adapter.
        quantized: Whether the base is quantized; adding would round its weights once more.

    Returns:
        The same class of model, in eval mode.

    Raises:
        CheckpointError: The adapter is missing, broken, or of another model.
        DependencyError: peft is not installed.
    """
    peft = import_peft()
    base_of(folder)  # its errors are clearer
    try:
        adapted = peft.PeftModel.from_pretrained(model, str(folder))
        found = adapted.get_base_model() if quantized else adapted.merge_and_unload()
    except Exception as error:  # of peft, torch and safetensors: many kinds, one meaning
        given = f"{folder}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise CheckpointError(
            "The adapter does not fit the model", given, "use it with the base that it was trained on"
        ) from error
    return found.eval()
