"""Local folder of a checkpoint, downloaded from the Hugging Face hub if necessary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from molmo_point.errors import CheckpointError

_HUB_OPTIONS = ("revision", "token", "cache_dir", "force_download", "local_files_only")


def local_folder(source: str | Path, files: Sequence[str], options: Mapping[str, Any] | None = None) -> Path:
    """Find the local folder of a checkpoint, a folder or a Hugging Face id; download only files of the listed patterns.

    Options of transformers' ``from_pretrained`` that locate files are used.

    Raises:
        CheckpointError: The source is no folder and cannot be downloaded.
    """
    options = options or {}
    inner = options.get("subfolder") or ""
    if isinstance(source, Path) or Path(source).is_dir():
        return Path(source) / inner
    from huggingface_hub import snapshot_download

    wanted = {name: options[name] for name in _HUB_OPTIONS if options.get(name) is not None}
    try:
        return Path(snapshot_download(source, allow_patterns=list(files), **wanted)) / inner
    except Exception as error:  # the hub raises a dozen kinds with one meaning
        given = f"{source}: {type(error).__name__}"
        fix = "download it elsewhere and pass the folder, or use the embedded 'tabletop'"
        raise CheckpointError("The checkpoint must be a local folder or a downloadable id", given, fix) from error
