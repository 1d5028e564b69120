"""`.bin` weights: torch's zip format, read with its restricted unpickler only, so that nothing in them is ever run."""

import zipfile
from pathlib import Path
from typing import Any

_NAMES = {
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


def bin_tensors(path: Path) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, dtype ("F32", …) and shape of every tensor of a `.bin`; no weight is read.

    Raises:
        ValueError: The file is damaged, is no such archive, or would have to run code; the message says which.
        OSError: It cannot be read.
    """
    import torch

    check_archive(path)
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


def check_archive(path: Path) -> None:
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
    return _NAMES.get(name, name.upper())
