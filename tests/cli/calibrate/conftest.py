"""Makes `planted_files` importable beside these tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
