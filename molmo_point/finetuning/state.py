"""The folder of a run: settings, the state to resume from, and the log.

Every save writes a folder of its own, which ``progress.json`` then names in one atomic step.
"""

import csv
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file

from molmo_point.errors import InputError
from molmo_point.files import check_writable, write_file
from molmo_point.finetuning.run_settings import RunSettings
from molmo_point.geometry.mapping_file import read_mapping

_NAMES = ("settings.json", "progress.json", "plans.jsonl", "log.csv", "curves.png", "checkpoint", "adapter")
"""Files and folders of a run."""


class Stateful(Protocol):
    """Tensors that are saved and loaded by name: those of a module, or some of them."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


def refuse_another_run(settings: RunSettings, replan: bool = False) -> None:
    """Raise InputError for a folder that holds a run with other settings, or foreign files; ``replan`` accepts another plan."""
    path = Path(settings.out) / "settings.json"
    saved = read_mapping(path) if path.exists() else {}
    if "out" not in saved:
        foreign = [name for name in _NAMES if os.path.lexists(path.with_name(name))]
        if foreign:
            given = f"{settings.out} has {foreign[0]}, which no run has made"
            raise InputError("The folder of a run must be its own", given, "choose another out")
    if not path.with_name("progress.json").exists():
        return
    differing = settings.differing(saved)
    if set(differing) - (settings.replannable if replan else frozenset()):
        fix = "choose another out, or the settings of settings.json"
        fix += "; --replan accepts another plan" if settings.replannable.issuperset(differing) else ""
        given = f"{settings.out}: {', '.join(differing)} differ"
        raise InputError("The folder of a run must hold no run with other settings", given, fix)


def record_settings(settings: RunSettings) -> None:
    """Write ``settings.json``, and a line of ``plans.jsonl`` if the settings are new."""
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    path, mine = out / "settings.json", settings.model_dump(mode="json")
    if path.exists() and read_mapping(path) == mine:
        return
    _append(out / "plans.jsonl", json.dumps({"from_images": images_done(out), **mine}) + "\n")
    write_file(path, f"{json.dumps(mine, indent=1)}\n".encode())


def images_done(out: Path) -> int:
    """Return the images seen at the last complete save, 0 for a new run; InputError if ``progress.json`` is broken."""
    path = out / "progress.json"
    if not path.exists():
        return 0
    try:
        return int(read_mapping(path)["images_seen"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(path, error) from error


def save_state(out: Path, images_seen: int, parts: Mapping[str, Stateful], optimizer: torch.optim.Optimizer) -> None:
    """Save the state of a run, parts by the name of their file, and drop the one before."""
    folder = out / f"state-{images_seen}"
    folder.mkdir(exist_ok=True)
    for name, part in parts.items():
        save_file(dict(part.state_dict()), folder / f"{name}.safetensors", metadata={"format": "pt"})
    entries = {}
    for index, entry in optimizer.state_dict()["state"].items():
        for name, value in entry.items():
            entries[f"{index}.{name}"] = value.clone().contiguous()
    save_file(entries, folder / "optimizer.safetensors")
    write_file(out / "progress.json", json.dumps({"images_seen": images_seen, "state": folder.name}).encode())
    for old in out.glob("state-*"):
        if old != folder and old.name.removeprefix("state-").isdecimal():
            shutil.rmtree(old)


def load_state(out: Path, parts: Mapping[str, Stateful], optimizer: torch.optim.Optimizer) -> None:
    """Load the last complete save, if there is one; InputError if it is broken."""
    path = out / "progress.json"
    if not path.exists():
        return
    try:
        folder = out / read_mapping(path)["state"]
        for name, part in parts.items():
            part.load_state_dict(load_file(folder / f"{name}.safetensors"))
        state = optimizer.state_dict()
        for key, value in load_file(folder / "optimizer.safetensors").items():
            index, name = key.split(".")
            state["state"].setdefault(int(index), {})[name] = value
        optimizer.load_state_dict(state)
    except Exception as error:  # a dozen kinds, all meaning that the files are not those that were saved
        raise _broken(path, error) from error


def append_log(out: Path, columns: Sequence[str], row: Mapping[str, Any]) -> None:
    """Append a line to ``log.csv``; NaN and missing columns stay empty, other names are left out."""
    path = out / "log.csv"
    text = io.StringIO(newline="")
    writer: csv.DictWriter[str] = csv.DictWriter(text, columns, restval="", extrasaction="ignore")
    if not path.exists():
        writer.writeheader()
    writer.writerow({name: "" if value != value else value for name, value in row.items()})
    _append(path, text.getvalue())


def _append(path: Path, text: str) -> None:
    check_writable(path)
    with path.open("a", newline="", encoding="utf-8") as file:
        file.write(text)


def _broken(path: Path, error: Exception) -> InputError:
    fix = "restore the folder or begin again in another one"
    return InputError("The saved state of a run must be complete", f"{path}: {error}", fix)
