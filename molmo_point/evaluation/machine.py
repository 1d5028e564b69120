"""Facts about the machine of a measurement: processor or GPU, libraries, memory."""

import os
import platform
import sys
from pathlib import Path
from typing import Any


def device_name(device: Any) -> str:
    """Name of the processor or GPU of a `torch.device`."""
    import torch

    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    return f"{_processor()}, {torch.get_num_threads()} threads"


def set_threads(count: int) -> None:
    """Let torch use this many threads of the processor."""
    import torch

    torch.set_num_threads(count)


def library_versions() -> str:
    """Versions of Python, torch and transformers."""
    import torch
    import transformers

    return f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"


def core_count() -> int | None:
    """Number of cores that this process may use; None if unknown."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()


def load_average() -> str:
    """Load of the last minute; "unknown" if the system does not tell."""
    try:
        return f"{os.getloadavg()[0]:.1f}"
    except (OSError, AttributeError):
        return "unknown"


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far; 0 if the system does not tell."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
