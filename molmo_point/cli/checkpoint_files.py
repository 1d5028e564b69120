"""Is a checkpoint folder complete? Looks at names, sizes and headers; loads nothing."""

import json
import struct
from pathlib import Path

_LFS_START = b"version https://git-lfs"
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("tokenizer.model",))


def problems_of(folder: Path) -> list[str]:
    """What is wrong with a checkpoint folder, in words; empty if nothing is.

    Args:
        folder: holds `config.json`, a tokenizer, and safetensors (one file, or shards with their index).
    """
    if not folder.is_dir():
        return [f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}"]
    try:
        problems = _config_problems(folder / "config.json")
        if not any(all((folder / name).is_file() for name in names) for names in _TOKENIZERS):
            problems.append("no tokenizer (tokenizer.json) in the folder")
        return problems + _weights_problems(folder)
    except OSError as error:
        return [f"{error.filename or folder} cannot be read ({error.strerror or error})"]


def _config_problems(path: Path) -> list[str]:
    if not path.is_file():
        return ["config.json is missing"]
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return [f"config.json is not JSON ({error})"]
    if not isinstance(config, dict) or not config.get("model_type"):
        return ["config.json names no model_type"]
    return []


def _weights_problems(folder: Path) -> list[str]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        single = folder / "model.safetensors"
        if not single.is_file():
            return ["no weights: neither model.safetensors nor model.safetensors.index.json"]
        return _file_problems(single)
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{index.name} is broken ({error!r})"]
    problems = []
    for shard in shards:
        path = folder / str(shard)
        problems += _file_problems(path) if path.is_file() else [f"shard {shard} is missing"]
    return problems


def _file_problems(path: Path) -> list[str]:
    """A safetensors file is 8 bytes of header length, a JSON header, and exactly the bytes that the header promises."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_LFS_START))
        if start == _LFS_START:
            return [f"{path.name} is a Git LFS pointer, not the weights (git lfs pull)"]
        if len(start) < 8:
            return [f"{path.name} is cut short ({size} bytes)"]
        (header_size,) = struct.unpack("<Q", start[:8])
        if header_size > min(size - 8, 100_000_000):
            return [f"{path.name} is cut short or no safetensors file ({size} bytes)"]
        file.seek(8)
        header = file.read(header_size)
    try:
        tensors = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return [f"{path.name} is no safetensors file"]
    expected = 8 + header_size + end
    if size != expected:
        return [f"{path.name} has {size} bytes, {expected} are expected: download it again"]
    return [] if tensors else [f"{path.name} holds no tensor"]


def size_words(folder: Path) -> str:
    """Size of the weights in a folder, for people."""
    total = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return f"{total / 1e9:.1f} GB" if total >= 1e9 else f"{total / 1e6:.1f} MB"
