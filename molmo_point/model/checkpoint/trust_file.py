"""Reader and writer of ``trust.json``: the description of a checkpoint's training; needs no torch."""

import json
from pathlib import Path

from molmo_point.errors import CheckpointError
from molmo_point.files import write_file
from molmo_point.model.checkpoint.weight_files import read_object
from molmo_point.trust.training_description import UNDESCRIBED, TrainingDescription

TRUST_FILE = "trust.json"
_FIX = "restore the file"


def training_description(folder: Path) -> TrainingDescription:
    """Read the description of a checkpoint's training; CheckpointError if the file is broken, `UNDESCRIBED` without it."""
    path = folder / TRUST_FILE
    if not path.exists():
        return UNDESCRIBED
    held = read_object(path, _FIX)
    try:
        return TrainingDescription.from_settings(held)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError("The description of the training must be readable", f"{path}: {error}", _FIX) from error


def write_training_description(folder: Path, description: TrainingDescription) -> None:
    """Write ``trust.json`` as a whole or not at all."""
    write_file(folder / TRUST_FILE, (json.dumps(description.to_settings(), indent=1, allow_nan=False) + "\n").encode())
