"""Which tensors the weight files of a checkpoint hold, without reading a single weight."""

import json
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

LFS_START = b"version https://git-lfs"
_AGAIN = "download it again"
# transformers' order of preference.
_NAMES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}  # fmt: skip
_TORCH_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_LONGEST_HEADER = 100_000_000
_LONGEST_JSON = 200_000_000


@dataclass(frozen=True)
class Problem:
    """Something that keeps a checkpoint from being loaded.

    Attributes:
        kind: "folder", "config", "file", "missing", "unexpected", "shape", "dtype", "duplicate", "tokenizer" or "image".
        file: Name of the file in question; empty if it is the folder as a whole.
        text: What is wrong, without the file's name.
        fix: What to do about it.
        tensors: All tensors concerned, by their names in the files; empty if none in particular.
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
        name: As the file has it.
        file: Name of the file in the folder.
        dtype: "F32", "BF16", … as safetensors call them.
        shape: Its shape.
        start: First byte in a safetensors file, counted from the file's beginning; 0 in a `.bin`.
        end: One past the last byte; 0 in a `.bin`.
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
    """One file of weights: its name, its size in bytes, how many tensors it holds."""

    name: str
    size_bytes: int
    tensor_count: int


@dataclass(frozen=True)
class StoredWeights:
    """What the weight files of a folder hold, and what is wrong with them.

    Attributes:
        folder: Where they are.
        files: Those that were found.
        tensors: By their names in the files.
        problems: Empty if all files are whole.
        index: Name of the index; empty if there is one file.
        promised: The index: tensor to file; empty if there is one file.
    """

    folder: Path
    files: tuple[WeightFile, ...] = ()
    tensors: dict[str, StoredTensor] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    index: str = ""
    promised: dict[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Size of all weight files, bytes."""
        return sum(file.size_bytes for file in self.files)


def read_json(path: Path) -> Any:
    """Parses a JSON file.

    Raises:
        ValueError: It is no JSON, or a Git LFS pointer; the message says so.
        OSError: It cannot be read.
    """
    if path.stat().st_size > _LONGEST_JSON:
        raise ValueError(f"it is larger than any such file ({path.stat().st_size} bytes)")
    data = path.read_bytes()
    if data.startswith(LFS_START):
        raise ValueError("it is a Git LFS pointer, not the file itself (git lfs pull)")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def weights_of(folder: Path, *, look_into_bins: bool = True) -> StoredWeights:
    """Reads names, shapes and dtypes of all stored tensors; broken files become problems, never an exception.

    Args:
        folder: Holds `model.safetensors` or `pytorch_model.bin`, or shards of either with their index.
        look_into_bins: Find the tensors of `.bin` files, which takes torch; otherwise only their archives are checked.
    """
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        return StoredWeights(folder, problems=(_folder_problem(folder, error),))
    chosen = next((name for name in _NAMES if name in present), None)
    if chosen is None:
        return StoredWeights(folder, problems=(_no_weights(sorted(present)),))
    problems: list[Problem] = []
    weight_map: dict[str, str] = {}
    if chosen.endswith(".json"):
        try:
            weight_map = _weight_map(folder / chosen)
        except (ValueError, OSError) as error:
            return StoredWeights(folder, problems=(Problem("file", chosen, words_of(error), _AGAIN),))
    shards = sorted(set(weight_map.values())) or [chosen]
    files, tensors = [], {}
    for shard in shards:
        found, size = [], 0
        try:
            size = (folder / shard).stat().st_size
            found = list(_tensors_of(folder / shard, look_into_bins))
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
    return StoredWeights(folder, tuple(files), tensors, tuple(problems), chosen if weight_map else "", weight_map)


def _weight_map(path: Path) -> dict[str, str]:
    data = read_json(path)
    weight_map = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError("it has no weight_map")
    if not isinstance(data.get("metadata"), dict):  # transformers reads nothing without
        raise ValueError("it has no metadata")
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or Path(shard).name != shard or "\\" in shard or "\0" in shard or shard in ("", ".."):
            raise ValueError(f"it puts {name} into {shard!r}, which names no file of the folder")
    return weight_map


def _tensors_of(path: Path, look_into_bins: bool) -> Iterator[StoredTensor]:
    """Raises ValueError with words for people if the file is damaged."""
    with path.open("rb") as file:
        start = file.read(len(LFS_START))
    if start == LFS_START:
        raise ValueError("it is a Git LFS pointer, not the weights (git lfs pull)")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix == ".bin":
        if not look_into_bins:
            _check_archive(path)
            return iter(())
        return iter([StoredTensor(name, path.name, dtype, shape) for name, dtype, shape in _bin_tensors(path)])
    raise ValueError("weights are read from .safetensors and .bin files only")


def _safetensors(path: Path) -> Iterator[StoredTensor]:
    """A safetensors file is 8 bytes of header length, a JSON header, and exactly the bytes that the header promises."""
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
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        tensors = [_tensor(path.name, name, entry, 8 + header_size) for name, entry in entries.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no safetensors file ({words_of(error)})") from error
    if not tensors:
        raise ValueError("it holds no tensor")
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    if size != tensors[-1].end:
        raise ValueError(f"it has {size} bytes, {tensors[-1].end} are expected")
    gaps = [b.name for a, b in pairwise(tensors) if a.end != b.start]
    if tensors[0].start != 8 + header_size or gaps:
        raise ValueError(f"it is no safetensors file (tensors overlap or leave gaps, at {gaps[0] if gaps else tensors[0].name})")
    return iter(tensors)


def _tensor(file: str, name: str, entry: Any, offset: int) -> StoredTensor:
    dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise ValueError(f"{name} has a shape or a place that is no whole number")
    if dtype not in _BYTES:
        raise ValueError(f"{name} is of an unknown type {dtype!r}")
    if end - start != prod(shape) * _BYTES[dtype]:
        raise ValueError(f"{name} takes {end - start} bytes, but is {dtype} of shape {list(shape)}")
    return StoredTensor(name, file, dtype, tuple(shape), offset + start, offset + end)


def _bin_tensors(path: Path) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, dtype ("F32", …) and shape of every tensor of a `.bin`; no weight is read.

    Raises:
        ValueError: The file is damaged, is no such archive, or would have to run code; the message says which.
        OSError: It cannot be read.
    """
    import torch

    _check_archive(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError:
        raise
    except Exception as error:  # what torch says here ends in advice to load it unsafely: not passed on
        if "eights only load failed" in str(error):
            reason = "it holds something other than tensors; reading that could run code, so it is refused"
        else:
            reason = f"it is damaged ({type(error).__name__})"
        raise ValueError(reason) from error
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, not named tensors")
    strange = next((name for name, value in found.items() if not isinstance(name, str) or not _is_plain(value)), None)
    if strange is not None:
        raise ValueError(f"its entry {strange!r} is no plain tensor")
    if not found:
        raise ValueError("it holds no tensor")
    return [(name, _dtype_name(tensor), tuple(tensor.shape)) for name, tensor in found.items()]


def _check_archive(path: Path) -> None:
    """Refuses whatever could grow when it is opened: torch stores its archives uncompressed. Needs no torch.

    Raises:
        ValueError: It is no such archive.
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except OSError:
        raise
    except Exception as error:  # zipfile raises half a dozen kinds for a damaged archive
        raise ValueError(f"it is cut short or no torch archive ({size} bytes)") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(e.file_size for e in entries) > size:
        raise ValueError("it is a compressed archive, which torch does not write")
    if not any(entry.filename.rsplit("/", 1)[-1] == "data.pkl" for entry in entries):
        raise ValueError("it is an archive, but none of torch's weights")


def _is_plain(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type == "cpu"


def _dtype_name(tensor: Any) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    return _TORCH_DTYPES.get(name, name.upper())


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it names {twice!r} twice")
    return found


def _second_copies(found: list[StoredTensor], known: dict[str, StoredTensor]) -> list[Problem]:
    again = [tensor for tensor in found if tensor.name in known]
    if not again:
        return []
    text = f"{again[0].name} is in {known[again[0].name].file}, too" + (f", and {len(again) - 1} more" if again[1:] else "")
    fix = "keep one of the two: delete what is not of this checkpoint, and download its files and index again"
    return [Problem("duplicate", again[0].file, text, fix, tuple(tensor.name for tensor in again))]


def _broken_promises(index: str, weight_map: dict[str, str], tensors: dict[str, StoredTensor], broken: set[str]) -> list[Problem]:
    """Tensors that are not in the shard that the index names; shards that could not be read were named already."""
    lost: dict[str, list[str]] = {}
    for name, shard in weight_map.items():
        stored = tensors.get(name)
        if shard not in broken and (stored is None or stored.file != shard):
            lost.setdefault(shard, []).append(name)
    return [
        Problem("missing", shard, f"{index} promises {listed(names)}, which the shard does not hold", _AGAIN, tuple(names))
        for shard, names in lost.items()
    ]


def listed(names: list[str] | tuple[str, ...], most: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _no_weights(present: list[str]) -> Problem:
    shards = [name for name in present if name.endswith((".safetensors", ".bin")) and "-of-" in name]
    if shards:
        index = _NAMES[1] if shards[0].endswith(".safetensors") else _NAMES[3]
        return Problem("file", index, f"it is missing, but there are shards such as {shards[0]}", f"download {index}, too")
    text = "there are no weights: none of " + ", ".join(_NAMES)
    return Problem("file", "", text, "download the checkpoint's weight files into this folder")


def _folder_problem(folder: Path, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem("folder", "", f"there is no folder {folder}", "pass the folder that holds the checkpoint's files")
    if isinstance(error, NotADirectoryError):
        return Problem("folder", "", f"{folder} is a file, not a folder", "pass the folder that holds the checkpoint's files")
    return Problem("folder", "", f"the folder cannot be read ({error.strerror})", "allow this user to read it (chmod)")


def words_of(error: Exception) -> str:
    """What a failure to read a file means, after "the file: "."""
    if isinstance(error, PermissionError):
        return "this user may not read it"
    if isinstance(error, OSError):
        return f"it cannot be read ({error.strerror or error})"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON ({error.msg}, byte {error.pos})"
    if isinstance(error, UnicodeDecodeError):
        return "it is not JSON (no UTF-8 text)"
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
