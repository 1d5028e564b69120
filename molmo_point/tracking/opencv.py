"""OpenCV, or a clear word that it is missing."""

from typing import Any

from molmo_point.errors import DependencyError


def import_cv2() -> Any:
    """The module cv2.

    Raises:
        DependencyError: It is not installed or cannot be loaded.
    """
    try:
        import cv2
    except ImportError as error:
        raise DependencyError("Tracking needs OpenCV", str(error), "pip install 'molmo-point[tracking]'") from error
    return cv2
