"""The device and the libraries in words, and how many threads are used."""

import platform
from pathlib import Path

import torch
import transformers


def set_threads(count: int) -> None:
    """Lets torch use so many threads."""
    torch.set_num_threads(count)


def device_words(device: torch.device) -> str:
    """A processor or a GPU by its name."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    return f"{_processor()}, {torch.get_num_threads()} threads"


def library_words() -> str:
    """torch and transformers with their versions."""
    return f"torch {torch.__version__}, transformers {transformers.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
