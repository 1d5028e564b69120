"""Reader of ``pointing.json``: measured accuracy of a checkpoint's points, calibration of its confidence; needs no torch."""

from pathlib import Path

from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.weight_files import read_object
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration

QUALITY_FILE = "pointing.json"
_LARGEST_SIGMA_PX = 640.0
_FIX = "restore the file, or delete it to use the default"


def measured_quality(folder: Path) -> tuple[float, Calibration]:
    """Read the accuracy of the points and the calibration of the confidence; CheckpointError if the file is broken.

    The accuracy is the standard deviation along one axis in pixels of an image 640 pixels wide. Without the file it is NaN,
    and nothing is calibrated.
    """
    path = folder / QUALITY_FILE
    if not path.exists():
        return float("nan"), UNCALIBRATED
    held = read_object(path, _FIX)
    try:
        sigma_px, settings = held["sigma_px_at_640"], held.get("calibration")
        if isinstance(sigma_px, bool) or not 0 < float(sigma_px) <= _LARGEST_SIGMA_PX:
            raise ValueError(f"sigma_px_at_640 is {sigma_px!r}, not a number of pixels up to {_LARGEST_SIGMA_PX:g}")
        calibration = UNCALIBRATED if settings is None else Calibration.from_settings(settings)
        return float(sigma_px), calibration
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError("The measured accuracy of this checkpoint cannot be read", f"{path}: {error}", _FIX) from error
