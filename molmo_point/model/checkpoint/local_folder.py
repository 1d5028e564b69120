"""The local folder of a checkpoint: one that is there, or that the Hugging Face hub has been asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from molmo_point.errors import CheckpointError

_HUB_OPTIONS = ("revision", "token", "cache_dir", "force_download", "local_files_only")


def local_folder(source: str | Path, files: Sequence[str], options: Mapping[str, Any] | None = None) -> Path:
    """The local folder of a checkpoint; downloads only the files that are named.

    Args:
        source: A folder or a Hugging Face id.
        files: Patterns of their names, such as "*.json".
        options: As transformers' ``from_pretrained`` takes them: ``revision``, ``token``, ``cache_dir``,
            ``force_download`` and ``local_files_only`` are the hub's, ``subfolder`` is where the checkpoint is inside.

    Raises:
        CheckpointError: It is neither.
    """
    options = options or {}
    inner = options.get("subfolder") or ""
    if isinstance(source, Path) or Path(source).is_dir():
        return Path(source) / inner
    from huggingface_hub import snapshot_download

    wanted = {name: options[name] for name in _HUB_OPTIONS if options.get(name) is not None}
    try:
        return Path(snapshot_download(source, allow_patterns=list(files), **wanted)) / inner
    except Exception as error:  # the hub raises a dozen kinds; to the user they are one
        raise CheckpointError(
            "The checkpoint is neither a local folder nor can it be fetched",
            f"{source}: {type(error).__name__}",
            "download it where there is a network and pass the folder, or use Pointer with the embedded 'tabletop'",
        ) from error
