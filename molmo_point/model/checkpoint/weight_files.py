"""Tensors in the weight files of a checkpoint, listed without reading a weight."""

import json
import re
import stat
import struct
import zipfile
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from molmo_point.errors import CheckpointError
from molmo_point.geometry.mapping_file import parse_json

LFS_START = b"version https://git-lfs"
_AGAIN = "download it again"
_IRREGULAR = "it is no regular file"
# transformers' order of preference.
_NAMES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}  # fmt: skip
_LONGEST_HEADER = 100_000_000
_LONGEST_JSON = 200_000_000
_LARGEST_INTEGER = 10**31
"""transformers writes 10^30 for a length without a limit."""


@dataclass(frozen=True)
class Problem:
    """Fault of a checkpoint that prevents loading.

    Attributes:
        kind: "folder", "config", "file", "missing", "unexpected", "shape", "dtype", "duplicate", "weights", "tokenizer",
            "generation", "quality", "training" or "image".
        file: Name of the file; empty for the folder as a whole.
        text: Description, without the name of the file.
        fix: Remedy.
        tensors: Affected tensors, by their names in the files; may be empty.
    """

    kind: str
    file: str
    text: str
    fix: str
    tensors: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}: {self.text}" if self.file else self.text


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file.

    Attributes:
        name: Name in the file.
        file: Name of the file in the folder.
        dtype: Type in the notation of safetensors ("F32", "BF16", …).
        shape: Shape of the tensor.
        start: Offset of the first byte in a safetensors file; 0 in a `.bin`.
        end: Offset after the last byte in a safetensors file; 0 in a `.bin`.
    """

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    end: int = 0

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)


@dataclass(frozen=True)
class WeightFile:
    """One weight file: name, size in bytes and number of tensors."""

    name: str
    size_bytes: int
    tensor_count: int


@dataclass(frozen=True)
class StoredWeights:
    """Content and problems of the weight files of a folder.

    Attributes:
        files: Files that were found.
        tensors: Tensors by their names in the files.
        problems: Faults of the files; empty if all are complete.
        index: Name of the index; empty for a single file.
        promised: File of each tensor according to the index; empty for a single file.
    """

    files: tuple[WeightFile, ...] = ()
    tensors: dict[str, StoredTensor] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    index: str = ""
    promised: dict[str, str] = field(default_factory=dict)


def read_json(path: Path) -> Any:
    """Parse a JSON file; ValueError if it is no JSON or a Git LFS pointer, OSError if it cannot be read."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(_IRREGULAR)
    if status.st_size > _LONGEST_JSON:
        raise ValueError(f"it is larger than any such file ({status.st_size} bytes)")
    data = path.read_bytes()
    if data.startswith(LFS_START):
        raise ValueError("it is a Git LFS pointer, not the file itself (git lfs pull)")
    return _parsed(data)


def _parsed(data: bytes) -> Any:
    return parse_json(data.decode("utf-8"), finite=True, largest=_LARGEST_INTEGER)


def read_object(path: Path, fix: str = "download the file again", missing: CheckpointError | None = None) -> dict[str, Any]:
    """Read a JSON object of a checkpoint; CheckpointError if it is broken. A missing file is empty, or raises ``missing``."""
    try:
        data = read_json(path)
    except FileNotFoundError as error:
        if missing is None:
            return {}
        raise missing from error
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path.name} cannot be read", f"{path}: {words_of(error)}", fix) from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path.name} must hold a JSON object", f"{path}: a {type(data).__name__}", fix)
    return data


def weights_of(folder: Path, *, look_into_bins: bool = True) -> StoredWeights:
    """Read names, shapes and dtypes of all stored tensors; broken files become problems, not exceptions.

    Args:
        folder: Folder with `model.safetensors` or `pytorch_model.bin`, or shards of either and their index.
        look_into_bins: True lists the tensors of `.bin` files, which needs torch; False checks only their archives.
    """
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        return StoredWeights(problems=(_folder_problem(folder, error),))
    problems = irregular_files(folder)
    chosen = next((name for name in _NAMES if name in present), None)
    if chosen is None:
        return StoredWeights(problems=(*problems, _no_weights(sorted(present))))
    weight_map: dict[str, str] = {}
    if chosen.endswith(".json"):
        try:
            weight_map = _weight_map(folder / chosen)
        except (ValueError, OSError) as error:
            return StoredWeights(problems=(Problem("file", chosen, words_of(error), _AGAIN),))
    shards = sorted(set(weight_map.values())) or [chosen]
    files, tensors = [], {}
    for shard in shards:
        found, size = [], 0
        try:
            size = (folder / shard).stat().st_size
            found = tensors_of_file(folder / shard, look_into_bins)
        except FileNotFoundError:
            problems.append(Problem("file", shard, "this shard is missing", "download it into the same folder"))
            continue
        except (ValueError, OSError) as error:
            problems.append(Problem("file", shard, words_of(error), _AGAIN))
        files.append(WeightFile(shard, size, len(found)))
        problems += _second_copies(found, tensors)
        tensors |= {tensor.name: tensor for tensor in found}
    broken = {problem.file for problem in problems}
    if look_into_bins or not chosen.startswith("pytorch_model"):
        problems += _broken_promises(chosen, weight_map, tensors, broken)
    return StoredWeights(tuple(files), tensors, tuple(problems), chosen if weight_map else "", weight_map)


def irregular_files(folder: Path) -> list[Problem]:
    """Report FIFOs, sockets and devices in a folder; opening one may wait for ever."""
    found = []
    for path in sorted(folder.iterdir()):
        try:
            mode = path.stat().st_mode
        except OSError:  # a link without a target counts as missing
            continue
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            found.append(Problem("file", path.name, _IRREGULAR, "remove it, and download the file again"))
    return found


def _weight_map(path: Path) -> dict[str, str]:
    data = read_json(path)
    weight_map = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError("it has no weight_map")
    if not isinstance(data.get("metadata"), dict):  # transformers requires it
        raise ValueError("it has no metadata")
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or Path(shard).name != shard or "\\" in shard or "\0" in shard or shard in ("", ".."):
            raise ValueError(f"it puts {name} into {shard!r}, which names no file of the folder")
    return weight_map


def tensors_of_file(path: Path, look_into_bins: bool = True) -> list[StoredTensor]:
    """List the tensors of one ``.safetensors`` or ``.bin`` file; ValueError if it is damaged."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(_IRREGULAR)
    with path.open("rb") as file:
        if file.read(len(LFS_START)) == LFS_START:
            raise ValueError("it is a Git LFS pointer, not the weights (git lfs pull)")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix != ".bin":
        raise ValueError("it is not a .safetensors or .bin file")
    _check_archive(path)
    return _bin_tensors(path) if look_into_bins else []


def _safetensors(path: Path) -> list[StoredTensor]:
    """List the tensors of a safetensors file: 8 bytes of header length, a JSON header, and the announced bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ValueError(f"it is cut short ({size} bytes)")
        (header_size,) = struct.unpack("<Q", start)
        if header_size > min(size - 8, _LONGEST_HEADER):
            raise ValueError(f"it is cut short or no safetensors file ({size} bytes)")
        text = file.read(header_size)
    try:
        header = _parsed(text).items()
        _check_metadata(dict(header).get("__metadata__", {}))
        tensors = [_tensor(path.name, name, entry, 8 + header_size) for name, entry in header if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no safetensors file ({words_of(error)})") from error
    if not tensors:
        raise ValueError("it holds no tensor")
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    if size != tensors[-1].end:
        raise ValueError(f"it has {size} bytes, {tensors[-1].end} are expected")
    gaps = [b.name for a, b in pairwise(tensors) if a.end != b.start]
    if tensors[0].start != 8 + header_size or gaps:
        raise ValueError(f"it is no safetensors file (tensors overlap or leave gaps, at {gaps[0] if gaps else tensors[0].name})")
    return tensors


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are not texts by name")


def _tensor(file: str, name: str, entry: Any, offset: int) -> StoredTensor:
    dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise ValueError(f"{name} has a shape or an offset that is not an integer")
    if dtype not in _BYTES:
        raise ValueError(f"{name} has the unknown type {dtype!r}")
    if end - start != prod(shape) * _BYTES[dtype]:
        raise ValueError(f"{name} has {end - start} bytes, but is {dtype} of shape {list(shape)}")
    return StoredTensor(name, file, dtype, tuple(shape), offset + start, offset + end)


def _bin_tensors(path: Path) -> list[StoredTensor]:
    """List the tensors of a `.bin` without reading weights; torch's restricted unpickler runs no code in the file."""
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError:
        raise
    except Exception as error:  # torch advises to load it unsafely, so its message is not passed on
        unsafe = "eights only load failed" in str(error)
        reason = (
            "it holds objects other than tensors, which could run code" if unsafe else f"it is damaged ({type(error).__name__})"
        )
        raise ValueError(reason) from error
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, not named tensors")
    for name, value in found.items():
        plain = isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type == "cpu"
        # An expanded tensor of a few bytes may stand for terabytes.
        if not plain or not isinstance(name, str) or value.untyped_storage().nbytes() < value.numel() * value.element_size():
            raise ValueError(f"its entry {str(name)[:80]!r} is not a plain tensor")
    if not found:
        raise ValueError("it holds no tensor")
    return [StoredTensor(name, path.name, _dtype_name(tensor), tuple(tensor.shape)) for name, tensor in found.items()]


def _check_archive(path: Path) -> None:
    """Check that a file is an uncompressed archive, as written by torch; ValueError for another one. Needs no torch."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except OSError:
        raise
    except Exception as error:  # zipfile raises many kinds for a damaged archive
        raise ValueError(f"it is cut short or no torch archive ({size} bytes)") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(e.file_size for e in entries) > size:
        raise ValueError("it is a compressed archive, which torch does not write")
    if not any(entry.filename.rsplit("/", 1)[-1] == "data.pkl" for entry in entries):
        raise ValueError("it is an archive without weights of torch")


def _dtype_name(tensor: Any) -> str:
    """Name the type of a tensor as safetensors does: "F32" for float32."""
    name = str(tensor.dtype).removeprefix("torch.")
    return re.sub(r"^(b?)(f|i|u)(?:loat|nt|int)(?=\d+$)", r"\1\2", name).upper()


def _second_copies(found: list[StoredTensor], known: dict[str, StoredTensor]) -> list[Problem]:
    again = [tensor for tensor in found if tensor.name in known]
    if not again:
        return []
    text = f"{again[0].name} is also in {known[again[0].name].file}" + (f", and {len(again) - 1} more" if again[1:] else "")
    fix = "delete the file of another checkpoint, and download files and index again"
    return [Problem("duplicate", again[0].file, text, fix, tuple(tensor.name for tensor in again))]


def _broken_promises(index: str, weight_map: dict[str, str], tensors: dict[str, StoredTensor], broken: set[str]) -> list[Problem]:
    """Report tensors that are not in the shard named by the index, except those of broken shards."""
    lost: dict[str, list[str]] = {}
    for name, shard in weight_map.items():
        stored = tensors.get(name)
        if shard not in broken and (stored is None or stored.file != shard):
            lost.setdefault(shard, []).append(name)
    return [
        Problem("missing", shard, f"{index} promises {listed(names)}, which the shard lacks", _AGAIN, tuple(names))
        for shard, names in lost.items()
    ]


def listed(names: list[str] | tuple[str, ...], most: int = 3) -> str:
    """Join the first names of a list, and count the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _no_weights(present: list[str]) -> Problem:
    shards = [name for name in present if name.endswith((".safetensors", ".bin")) and "-of-" in name]
    if shards:
        index = _NAMES[1] if shards[0].endswith(".safetensors") else _NAMES[3]
        return Problem("file", index, f"it is missing, but there are shards such as {shards[0]}", f"download {index}")
    text = "it has no weights: none of " + ", ".join(_NAMES)
    return Problem("file", "", text, "download the checkpoint's weight files into this folder")


def _folder_problem(folder: Path, error: OSError) -> Problem:
    fix = "pass the folder that holds the checkpoint's files"
    if isinstance(error, FileNotFoundError):
        return Problem("folder", "", f"the folder {folder} does not exist", fix)
    if isinstance(error, NotADirectoryError):
        return Problem("folder", "", f"{folder} is a file, not a folder", fix)
    return Problem("folder", "", f"the folder cannot be read ({error.strerror})", "allow this user to read it (chmod)")


def words_of(error: Exception) -> str:
    """Describe a failure to read a file, as the continuation of "the file: "."""
    if isinstance(error, PermissionError):
        return "this user has no permission to read it"
    if isinstance(error, OSError):
        return f"it cannot be read ({error.strerror or error})"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON ({error.msg}, byte {error.pos})"
    if isinstance(error, UnicodeDecodeError):
        return "it is not JSON (not UTF-8)"
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
