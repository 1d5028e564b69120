"""Loader of checkpoint folders: the family in `config.json` decides who loads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from molmo_point.backend import FAMILIES, Backend, resolve, resolve_checkpoint
from molmo_point.errors import CheckpointError, InputError
from molmo_point.model.checkpoint.adapters import base_of, is_adapter
from molmo_point.model.checkpoint.loading import checked_dtype
from molmo_point.model.checkpoint.local_folder import local_folder
from molmo_point.model.checkpoint.memory import memory_needs, physical_memory_bytes
from molmo_point.model.checkpoint.published_sizes import FLAVORED, flavor_of
from molmo_point.model.checkpoint.quality_file import measured_quality
from molmo_point.model.checkpoint.quantization import default_quantization
from molmo_point.model.checkpoint.released_config import read_config
from molmo_point.model.checkpoint.trust_file import training_description
from molmo_point.model.checkpoint.weight_files import weights_of
from molmo_point.trust.confidence_calibration import Calibration

_FILES = ["*.json", "*.safetensors", "*.txt", "*.bin", "*.jinja"]
_SUPPORTED = "MolmoE-1B, Molmo-7B-O, Molmo-7B-D, Molmo-72B, Molmo2-4B, Molmo2-8B, Molmo2-O-7B or the embedded 'tabletop'"


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint and the settings to load it with.

    Attributes:
        folder: Folder of the checkpoint.
        adapter: Folder of a PEFT adapter; None without one.
        name: Name that results carry.
        device: Device of the weights.
        dtype: Precision of weights that are not quantized.
        quantization: A transformers quantization configuration; None for none.
        max_crops: Most crops of an image; None takes the checkpoint's own number.
        sigma_px: Measured standard deviation of the points; NaN if it was not measured.
        calibration: Calibration of the model's probabilities.
    """

    folder: Path
    adapter: Path | None
    name: str
    device: torch.device
    dtype: torch.dtype
    quantization: Any
    max_crops: int | None
    sigma_px: float
    calibration: Calibration


def load_backend(
    source: str | Path,
    *,
    device: str | None = None,
    quantization: str | None = None,
    dtype: str | None = None,
    max_crops: int | None = None,
    adapter: str | Path | None = None,
) -> Backend:
    """Load a checkpoint of any family in `molmo_point.backend.FAMILIES`.

    Args:
        source: A folder in the released layout, or a Hugging Face id that is cached or can be downloaded.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...; None takes a GPU if there is one.
        quantization: None, ``"int8"`` or ``"nf4"`` (bitsandbytes); vision, embeddings and head keep high precision.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"`` of unquantized weights; None takes the best of the device.
        max_crops: Most high-resolution crops of an image; fewer are faster and lose detail. None takes the checkpoint's number.
        adapter: Folder of a PEFT adapter, as ``molmo-point train`` saves it; ``source`` may be one, too. It is merged
            into the weights, or kept separate if they are quantized.

    Raises:
        CheckpointError: Files are missing, broken, or of a model that cannot be run; or the adapter is of another model.
        DependencyError: Quantization needs bitsandbytes, or transformers is too old for the model.
        InputError: The device, the quantization, the dtype or max_crops is impossible.
    """
    chosen = _checked_device(device)
    precision = checked_dtype(dtype, chosen)
    reduced = None if quantization is None else default_quantization(quantization, precision)
    folder, adapter_folder = _parts(source, adapter)
    _check_memory(folder, chosen, precision, quantization)
    family = FAMILIES[checkpoint_family(folder)]
    # The base's measured quality says nothing about a model that an adapter changed.
    sigma_px, calibration = measured_quality(adapter_folder or folder)
    checkpoint = CheckpointSource(
        folder=folder,
        adapter=adapter_folder,
        name=Path(source).name if isinstance(source, Path) else str(source),
        device=chosen,
        dtype=precision,
        quantization=reduced,
        max_crops=max_crops,
        sigma_px=sigma_px,
        calibration=calibration,
    )
    backend = resolve(family.loader)(checkpoint)
    backend.dialect = family.dialect
    # An adapter brings a description of its own: that of the base does not know its words and pictures.
    backend.training = training_description(adapter_folder or folder)
    return backend


def _check_memory(folder: Path, device: torch.device, dtype: torch.dtype, quantization: str | None) -> None:
    """Compare the size of the weights with the memory of the device, before anything is allocated; CheckpointError if larger."""
    if checkpoint_family(folder) not in FLAVORED:
        return
    try:
        flavor = flavor_of(read_config(folder))
    except CheckpointError as error:
        given = f"{folder / 'config.json'}: {error.given.removeprefix('config.json: ')}"
        raise CheckpointError(error.what, given, error.fix) from error
    weights = weights_of(folder, look_into_bins=False)
    if device.type == "cuda":
        available = torch.cuda.get_device_properties(device).total_memory
    else:
        available = physical_memory_bytes() if device.type == "cpu" else None
    if available is None or not weights.tensors:
        return
    shapes = [(tensor.name, tensor.shape) for tensor in weights.tensors.values()]
    needs = {need.precision: need for need in memory_needs(shapes, flavor)}
    name = quantization or ("fp32" if dtype == torch.float32 else "bf16")
    need_bytes = needs[name].weights_bytes + (needs[name].kept_bytes if device.type == "cpu" else 0)
    if flavor.quantized:
        need_bytes = sum(file.size_bytes for file in weights.files)
    if need_bytes > available:
        given = f"{folder}: {need_bytes / 1e9:.1f} GB of weights in {name}, {available / 1e9:.1f} GB of memory"
        fix = "pass quantization='nf4' or dtype='bfloat16', or use a smaller checkpoint"
        raise CheckpointError("The model must fit into the memory of the device", given, fix)


def _parts(source: str | Path, adapter: str | Path | None) -> tuple[Path, Path | None]:
    """Return the folders of the checkpoint and of its adapter; ``source`` may be the adapter itself."""
    folder = local_folder(source, _FILES)
    if adapter is None and is_adapter(folder):
        return local_folder(resolve_checkpoint(base_of(folder)), _FILES), folder
    return folder, None if adapter is None else Path(adapter)


def fewer_crops(max_crops: int | None, trained: int) -> int:
    """Return the number of crops to use: as trained, or fewer; InputError for any other number."""
    if max_crops is None:
        return trained
    if isinstance(max_crops, bool) or not isinstance(max_crops, int) or not min(1, trained) <= max_crops <= trained:
        wanted = f"from 1 to {trained}" if trained else "0, because this model sees the image as one overview"
        raise InputError(f"max_crops must be a whole number {wanted}", repr(max_crops), "leave it out for the trained number")
    return max_crops


def checkpoint_family(folder: Path) -> str:
    """Return the model family of ``config.json``; CheckpointError if it is missing, broken, or of a model that cannot run."""
    kind = read_config(folder).get("model_type")
    if kind in FAMILIES:
        return str(kind)
    given = f"{folder / 'config.json'}: model_type {kind!r}"
    if kind == "molmo_point":
        raise CheckpointError(
            "the checkpoint must run without remote code, and MolmoPoint models need code from their own repository",
            given,
            "use a Molmo or Molmo2 checkpoint; MolmoPoint's answers can be read with molmo_point.points.parse",
        )
    raise CheckpointError("the checkpoint must be of the Molmo family", given, f"use one of {_SUPPORTED}")


def _checked_device(device: str | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        fix = "use 'cpu'" + (", or 'cuda'" if torch.cuda.is_available() else "; no GPU is usable here")
        raise InputError("device must be one that is usable here", f"{device!r}", fix) from error
    return chosen
