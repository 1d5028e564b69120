"""The report on a checkpoint as text and as JSON: its model, missing files, faulty numbers, memory."""

from pathlib import Path
from typing import Any

from molmo_point.cli.doctor import probes
from molmo_point.cli.table import columns
from molmo_point.model.checkpoint.memory import TYPICAL_TOKENS, physical_memory_bytes
from molmo_point.model.checkpoint.report import inspect_checkpoint
from molmo_point.viz.text import shortened

_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
_LONGEST = 300
# A slow disk; every weight is read.
_READ_BYTES_PER_S = 100e6
# For activations, and on a GPU for the context of CUDA: an allowance, not a measurement.
_ALLOWANCE_BYTES = 1_000_000_000

# Importing torch may crash, and a folder may hold anything: both happen in a process of their own.
_INSPECT = """
import json, sys
from molmo_point.model.checkpoint.report import inspect_checkpoint
report = inspect_checkpoint(sys.argv[1]).to_dict()
try:
    import torch
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    report["gpus"] = [{"name": gpu.name, "memory_bytes": gpu.total_memory} for gpu in gpus]
except Exception:
    report["gpus"] = []
print(json.dumps(report))
"""


def problems_of(folder: Path) -> list[str]:
    """Return the problems of a checkpoint folder that names and sizes show, in words."""
    return [str(problem) for problem in inspect_checkpoint(folder, use_torch=False).problems]


def inspected(folder: Path) -> dict[str, Any]:
    """Inspect a checkpoint folder.

    Returns:
        `CheckpointReport.to_dict()` with the memory of this machine: "ram_bytes" (None if not known) and "gpus".
    """
    report = probes.run_probe(_INSPECT, str(folder), timeout_s=90.0 + _weight_bytes(folder) / _READ_BYTES_PER_S)
    if "problems" not in report:
        light = inspect_checkpoint(folder, use_torch=False).to_dict()
        reason = shortened(str(report.get("error", "no answer")), _LONGEST)
        notes = [*light["notes"], f"only names and sizes were inspected: the full inspection failed ({reason})"]
        report = light | {"gpus": [], "notes": notes}
    return report | {"ram_bytes": physical_memory_bytes()}


def _weight_bytes(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".safetensors", ".bin"))
    except OSError:
        return 0


def headline(report: dict[str, Any]) -> str:
    """Return one line: the model, and complete or not."""
    title = (
        report["flavor"]["title"]
        if report["flavor"]
        else "a read-out of names"
        if not report["problems"]
        else "not a model of the Molmo family"
    )
    if report["adapter_of"]:
        title = f"adapter of {shortened(report['adapter_of'], _LONGEST)}" + (f", {title}" if report["flavor"] else "")
    count = len(report["problems"])
    if count:
        return f"{title}, cannot be loaded: {count} problem{'s' if count > 1 else ''}, {report['folder']}"
    return f"{title}, complete, {size_words(report['size_bytes'])}, {report['folder']}"


def report_lines(report: dict[str, Any]) -> list[str]:
    """Return the report of `inspected` for people: facts, problems with remedies, and the table of memory."""
    lines = _facts(report)
    for problem in report["problems"]:
        place = f"{problem['file']}: " if problem["file"] else ""
        lines += [f"✗ {shortened(place + problem['text'], _LONGEST)}", f"  → {shortened(problem['fix'], _LONGEST)}"]
    lines += [f"· {shortened(note, _LONGEST)}" for note in report["notes"]]
    return [*lines, *([""] if report["memory"] else ()), *_memory(report)]


def size_words(size_bytes: float) -> str:
    """Return a size for people: 32.1 GB, 9.8 MB, 56 KB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size_bytes >= 0.9995 * scale:
            value = size_bytes / scale
            return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.1f} {unit}"
    return f"{size_bytes:.0f} bytes"


def _facts(report: dict[str, Any]) -> list[str]:
    rows = []
    flavor, parameters, image = report["flavor"], report["parameters"], report["image"]
    if flavor:
        rows.append(("model", f"{flavor['title']}, {flavor['words']}"))
        rows.append(("tokens", f"a vocabulary of {flavor['vocab_size']}, a context of {flavor['context']}"))
    if image:
        most = f"{image['max_crops']} besides the overview at most" if image["max_crops"] else "the overview alone"
        rows.append(("images", f"crops of {image['crop_px']} px in patches of {image['patch_px']} px, {most}"))
    if report["files"]:
        count = len(report["files"])
        kinds = ", ".join(_DTYPES.get(str(dtype), str(dtype)) for dtype in report["dtypes"]) or "types not looked at"
        files = f"{count} files" if count > 1 else report["files"][0]["name"]
        rows.append(("weights", f"{files}, {size_words(report['size_bytes'])}, {kinds}"))
    if parameters:
        parts = ", ".join(f"{part} {_count_words(parameters[part])}" for part in ("language", "connector", "vision"))
        active = f", {_count_words(parameters['active'])} active" if parameters["active"] != parameters["total"] else ""
        rows.append(("parameters", f"{_count_words(parameters['total'])}{active} ({parts})"))
    if report["compared"] and not any(p["kind"] in _TENSORS for p in report["problems"]):
        tensors = sum(file["tensor_count"] for file in report["files"])
        rows.append(("tensors", f"all {tensors} have the names and shapes of the model"))
    return [f"{name.ljust(10)}  {shortened(words, _LONGEST)}" for name, words in rows]


_TENSORS = ("file", "missing", "unexpected", "shape", "dtype", "duplicate", "weights")


def _memory(report: dict[str, Any]) -> list[str]:
    """Return a row for each precision, with a column for each memory of this machine."""
    needs = report["memory"]
    if not needs:
        return []
    # The name of a memory, its size, and which of the needs counts there.
    places = [("in RAM", report["ram_bytes"], "on_cpu_bytes")] if report["ram_bytes"] else []
    places += [(f"on GPU {i}" if i else "on GPU", gpu["memory_bytes"], "total_bytes") for i, gpu in enumerate(report["gpus"])]
    head = ["memory", "weights", "cache", "together", *(f"{name} ({size_words(size)})" for name, size, _ in places)]
    rows = []
    for need in needs:
        sizes = [size_words(need[key]) for key in ("weights_bytes", "cache_bytes", "total_bytes")]
        rows.append([need["precision"], *sizes, *(_verdict(need[key], size) for _, size, key in places)])
    notes = [
        f"cache: keys and values of {TYPICAL_TOKENS} tokens, a large image and an answer",
        "int8, nf4: the language model's matrices; vision, connector, embeddings and head stay in bf16, on a processor in fp32",
    ]
    if places:
        notes.append(f"fits: leaves {size_words(_ALLOWANCE_BYTES)} for activations and, on a GPU, its context")
    return [*columns(head, rows, left=(0,)), *notes]


def _verdict(need_bytes: int, memory_bytes: int) -> str:
    if need_bytes + _ALLOWANCE_BYTES <= memory_bytes:
        return "fits"
    return "tight" if need_bytes <= memory_bytes else "too large"


def _count_words(count: int) -> str:
    for unit, scale in ((" billion", 1e9), (" million", 1e6)):
        if count >= 0.1 * scale:
            return f"{count / scale:.3g}{unit}"
    return str(count)
