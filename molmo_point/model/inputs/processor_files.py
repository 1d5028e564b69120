"""The files of a checkpoint that a processor reads and writes."""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from molmo_point.errors import CheckpointError
from molmo_point.model.inputs.preprocess import ImageLayout

PROCESSOR_FILES = ("*.json", "*.txt")


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder.

    Raises:
        CheckpointError: ``tokenizer.json`` is missing or broken.
    """
    if not (folder / "tokenizer.json").exists():
        raise CheckpointError(
            "The checkpoint has no tokenizer",
            str(folder / "tokenizer.json"),
            "download tokenizer.json and tokenizer_config.json of the checkpoint",
        )
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise CheckpointError(
            "The tokenizer of the checkpoint cannot be read",
            f"{folder}: {type(error).__name__}: {error}",
            "download tokenizer.json and tokenizer_config.json again",
        ) from error


def read_max_length(folder: Path) -> int | None:
    """Most tokens of a sequence, from ``processor_config.json`` or else ``config.json``; None where neither says."""
    for name, keys in (
        ("processor_config.json", ("max_length",)),
        ("config.json", ("max_sequence_length", "max_position_embeddings")),  # the first wins in MolmoE's
    ):
        path = folder / name
        try:
            data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            values = [data[key] for key in keys if data.get(key) is not None]
            if values:
                return int(values[0])
        except (ValueError, TypeError, AttributeError, OSError) as error:
            raise CheckpointError(
                "A settings file of this checkpoint cannot be read",
                f"{path}: {type(error).__name__}: {error}",
                "download the file again or restore it from the checkpoint's source",
            ) from error
    return None


def write_settings(folder: Path, layout: ImageLayout, processor: dict[str, Any]) -> list[str]:
    """Writes ``preprocessor_config.json`` and ``processor_config.json`` in the released layout, and says where."""
    paths = folder / "preprocessor_config.json", folder / "processor_config.json"
    for path, data in zip(paths, (layout.to_dict(), processor)):
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return [str(path) for path in paths]
