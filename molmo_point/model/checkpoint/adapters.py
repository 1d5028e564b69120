"""PEFT adapters of a Molmo: their base, and how to apply them."""

from pathlib import Path
from typing import Any

from molmo_point.dependencies import require
from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.weight_files import read_object

ADAPTER_CONFIG = "adapter_config.json"


def is_adapter(folder: Path) -> bool:
    """Test if a folder holds an adapter instead of a model."""
    return (folder / ADAPTER_CONFIG).is_file()


def base_of(folder: Path) -> str:
    """Read the base checkpoint of an adapter, an embedded name, folder or Hugging Face id; CheckpointError without one."""
    path, fix = folder / ADAPTER_CONFIG, "pass the folder that holds adapter_config.json"
    missing = CheckpointError("The folder must hold an adapter", str(folder), fix)
    base = read_object(path, "copy the adapter again", missing).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointError("The adapter must name its base model", str(path), "pass the base, and the adapter as adapter=")
    return base


def with_adapter(model: Any, folder: Path, quantized: bool) -> Any:
    """Apply an adapter to a base model in eval mode, changed in place: merged into the weights, or separate if quantized.

    Raises:
        CheckpointError: The adapter is missing, broken, or belongs to another model.
        DependencyError: peft is not installed.
    """
    peft = require("peft", "An adapter", "train")
    base_of(folder)  # its errors are clearer than those of peft
    try:
        adapted = peft.PeftModel.from_pretrained(model, str(folder))
        found = adapted.get_base_model() if quantized else adapted.merge_and_unload()
    except Exception as error:  # peft, torch and safetensors raise many kinds with one meaning
        given = f"{folder}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise CheckpointError("The adapter must match the model", given, "use it with the base that it was trained on") from error
    return found.eval()
