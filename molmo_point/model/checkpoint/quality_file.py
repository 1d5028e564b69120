"""Measured quality of a checkpoint: ``pointing.json`` next to its weights."""

from pathlib import Path

from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.weight_files import read_object
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration

_FIX = "restore the file, or delete it to use the default"


def measured_quality(folder: Path) -> tuple[float, Calibration]:
    """Read the accuracy of the model's points and the calibration of its confidence; CheckpointError for a broken file.

    The accuracy is the standard deviation along one axis in pixels of an image 640 pixels wide. Without the file it is NaN,
    and the calibration the identity.
    """
    path = folder / "pointing.json"
    if not path.exists():
        return float("nan"), UNCALIBRATED
    held = read_object(path, _FIX)
    try:
        settings = held.get("calibration")
        return float(held["sigma_px_at_640"]), UNCALIBRATED if settings is None else Calibration.from_settings(settings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError("The measured accuracy of this checkpoint cannot be read", f"{path}: {error}", _FIX) from error
