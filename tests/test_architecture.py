"""ARCHITECTURE.md states the import law that the tests check."""

import re
from pathlib import Path

from .test_import_law import LINES

DOCUMENT = Path(__file__).resolve().parent.parent / "ARCHITECTURE.md"


def test_the_import_law_is_stated_as_it_is_checked():
    section = DOCUMENT.read_text(encoding="utf-8").partition("\n## The import law\n")[2].partition("\n## ")[0]
    stated = re.findall(r"^\d+\. (.*)$", section, re.MULTILINE)
    assert stated == [", ".join(f"`{part}`" for part in line) for line in LINES]
