"""Measured quality of a checkpoint: ``pointing.json`` next to its weights."""

import json
from pathlib import Path

from molmo_point.errors import CheckpointError
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration


def measured_quality(folder: Path) -> tuple[float, Calibration]:
    """Read the accuracy of the model's points and the calibration of its confidence.

    Args:
        folder: Folder of the checkpoint.

    Returns:
        Standard deviation along one axis in pixels of an image 640 pixels wide, NaN without the file;
        and the calibration, the identity if the file has none.

    Raises:
        CheckpointError: The file exists but cannot be read.
    """
    path = folder / "pointing.json"
    if not path.exists():
        return float("nan"), UNCALIBRATED
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        settings = held.get("calibration")
        return float(held["sigma_px_at_640"]), UNCALIBRATED if settings is None else Calibration.from_settings(settings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            "The measured accuracy of this checkpoint cannot be read",
            f"{path}: {error}",
            "restore the file, or delete it to use the default",
        ) from error
