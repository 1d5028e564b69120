"""What a run needs to go on: weights, training heads, optimiser, and how far it is.

Every save writes a folder of its own; ``progress.json`` then names it, in one atomic step. A run
killed at any moment resumes from the last complete save.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file

from molmo_point.errors import InputError


class Stateful(Protocol):
    """What is saved and loaded by name: a module, or some of its tensors."""

    def state_dict(self) -> Mapping[str, Any]:
        """Name to tensor."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Takes over what was saved."""
        ...


def save_state(out: Path, images_seen: int, parts: Mapping[str, Stateful], optimizer: torch.optim.Optimizer) -> None:
    """Saves the state of a run and drops the one before.

    Args:
        out: Folder of the run.
        images_seen: How far it is.
        parts: What is saved beside the optimiser, by the name of its file.
        optimizer: The optimiser.
    """
    folder = out / f"state-{images_seen}"
    folder.mkdir(exist_ok=True)
    for name, part in parts.items():
        save_file(dict(part.state_dict()), folder / f"{name}.safetensors", metadata={"format": "pt"})
    entries = {}
    for index, entry in optimizer.state_dict()["state"].items():
        for name, value in entry.items():
            entries[f"{index}.{name}"] = value.clone().contiguous()
    save_file(entries, folder / "optimizer.safetensors")
    temporary = out / "progress.json.part"
    temporary.write_text(json.dumps({"images_seen": images_seen, "state": folder.name}))
    os.replace(temporary, out / "progress.json")
    for old in out.glob("state-*"):
        if old != folder:
            shutil.rmtree(old)


def load_state(out: Path, parts: Mapping[str, Stateful], optimizer: torch.optim.Optimizer) -> int:
    """Loads the last complete save, if there is one; arguments as `save_state`.

    Returns:
        Images seen so far; 0 for a new run.

    Raises:
        InputError: The saved state is broken.
    """
    path = out / "progress.json"
    if not path.exists():
        return 0
    try:
        progress = json.loads(path.read_text())
        folder = out / progress["state"]
        for name, part in parts.items():
            part.load_state_dict(load_file(folder / f"{name}.safetensors"))
        state = optimizer.state_dict()
        for key, value in load_file(folder / "optimizer.safetensors").items():
            index, name = key.split(".")
            state["state"].setdefault(int(index), {})[name] = value
        optimizer.load_state_dict(state)
        return int(progress["images_seen"])
    except Exception as error:  # a dozen kinds, all meaning that the files are not what was saved
        raise InputError(
            "The saved state of this run is broken", f"{path}: {error}", "restore the folder or start anew with another --out"
        ) from error
