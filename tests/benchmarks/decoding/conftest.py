"""The embedded checkpoint as a subject, and a picture that needs no simulator."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.decoding.subject import Subject, load_subject

from ...model.conftest import golden  # noqa: F401

TABLETOP = Path(__file__).parents[3] / "molmo_point" / "checkpoints" / "tabletop"


@pytest.fixture(scope="package")
def subject() -> Subject:
    torch.manual_seed(0)
    return load_subject(TABLETOP, "tabletop", "cpu")


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """Three coloured blocks on grey, so that the model has something to point at."""
    image = np.full((480, 640, 3), 120, np.uint8)
    for left, color in ((80, (200, 40, 30)), (280, (30, 60, 200)), (460, (40, 160, 60))):
        image[220:300, left : left + 80] = color
    return image
