"""What validation measured of a checkpoint: ``pointing.json`` beside its weights."""

import json
from pathlib import Path

from molmo_point.errors import CheckpointError
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration


def measured_quality(folder: Path) -> tuple[float, Calibration]:
    """Standard deviation of the model's points and the calibration of what it says of itself.

    Args:
        folder: Of the checkpoint.

    Returns:
        Pixels of an image 640 pixels wide along one axis, NaN without the file; and the calibration,
        which changes nothing where the file holds none.

    Raises:
        CheckpointError: The file is there but cannot be read.
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
            "restore the file or delete it (a default is used then)",
        ) from error
