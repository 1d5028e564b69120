"""A library that is taught once for all tests."""

import pytest

from molmo_point.model.taught.library import Library
from tests.model.taught.scenes import small_library, two_mugs


@pytest.fixture(scope="session")
def mugs() -> Library:
    return two_mugs()


@pytest.fixture(scope="session")
def pen() -> Library:
    return small_library()
