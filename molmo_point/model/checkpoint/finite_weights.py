"""Refusal of weights that are not finite, tensor by tensor while transformers reads them.

Each tensor is looked at right after it was read, in the same thread, at about 10 GB/s. Quantization on the fly comes
later, and would hide a NaN.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.modeling_utils import load_state_dict

from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.weight_files import Problem, StoredWeights, listed

_AGAIN = "download the file again; its training may have failed"
_WIDE = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


class FiniteWeights(PreTrainedModel):
    """Variant of transformers' loading that refuses a NaN or an infinity in any tensor of the files."""

    @staticmethod
    def _load_pretrained_model(
        model: Any, state_dict: Mapping[str, Any] | None, checkpoint_files: list[str] | None, load_config: Any, **more: Any
    ) -> Any:
        whole = bool(getattr(load_config, "disable_mmap", False))
        with _tensors(state_dict, checkpoint_files, whole) as found:
            watched = None if found is None else {name: _Watched(name, tensor) for name, tensor in found.items()}
            # Without tensors of their own, transformers reads the files as it is used to.
            return PreTrainedModel._load_pretrained_model(model, watched, checkpoint_files, load_config, **more)


@contextmanager
def _tensors(state_dict: Mapping[str, Any] | None, files: list[str] | None, whole: bool) -> Iterator[Mapping[str, Any] | None]:
    """Yield the tensors of a loading by name, unread unless ``whole`` asks for it; None if there are no files."""
    if state_dict is not None or not files:
        yield state_dict
        return
    found: dict[str, Any] = {}
    with ExitStack() as opened:
        for file in files:
            if not file.endswith(".safetensors"):
                found |= load_state_dict(file)
                continue
            if whole:
                found |= load_file(file)
                continue
            pointer: Any = opened.enter_context(safe_open(file, framework="pt"))
            found |= {name: pointer.get_slice(name) for name in pointer.keys()}  # noqa: SIM118 (it is no dict)
        yield found


class _Watched:
    """A tensor or an unread part of a file, checked when it is read."""

    def __init__(self, name: str, tensor: Any) -> None:
        self._name = name
        self._tensor = tensor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tensor, name)

    def __getitem__(self, index: Any) -> torch.Tensor:
        read = self._tensor[index]
        check_finite(self._name, read)
        return read


def check_finite(name: str, tensor: torch.Tensor) -> None:
    """Check that a tensor of a checkpoint has finite numbers; CheckpointError names it otherwise."""
    if is_finite(tensor):
        return
    given = f"{name} has {describe_non_finite(tensor)}"
    raise CheckpointError("The weights must be finite numbers", given, _AGAIN)


def non_finite_problems(folder: Path, weights: StoredWeights) -> list[Problem]:
    """Read all weights of a folder, a tensor at a time, and report those that are not finite: one problem a file."""
    found: dict[str, dict[str, str]] = {}
    broken = {problem.file for problem in weights.problems}
    for file in weights.files:
        if file.name in broken:
            continue
        with _tensors(None, [str(folder / file.name)], False) as tensors:
            for name, lazy in (tensors or {}).items():
                tensor = lazy[...]
                if not is_finite(tensor):
                    found.setdefault(file.name, {})[name] = f"{name} has {describe_non_finite(tensor)}"
    problems = []
    for file_name, texts in found.items():
        first, *others = texts
        more = f"; the same holds for {len(others)} more: {listed(others)}" if others else ""
        problems.append(Problem("weights", file_name, texts[first] + more, _AGAIN, tuple(texts)))
    return problems


def is_finite(tensor: torch.Tensor) -> bool:
    """Test if all values of a tensor are finite; integers are."""
    if not tensor.numel() or not tensor.is_floating_point() or tensor.is_meta:
        return True
    values = tensor.detach() if tensor.dtype in _WIDE else tensor.detach().float()
    # The extremes of a tensor with a NaN are NaN. This is twenty times faster than `isfinite`.
    low, high = values.aminmax()
    return bool(torch.isfinite(low) & torch.isfinite(high))


def describe_non_finite(tensor: torch.Tensor) -> str:
    """Count the values that are not finite, in words."""
    wrong = int((~torch.isfinite(tensor.detach().float())).sum())
    kind = "NaN or infinite"
    return f"{wrong} {kind} values of {tensor.numel()}" if wrong != 1 else f"a {kind} value"
