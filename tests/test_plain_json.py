"""`plain_json`: strict JSON of everything that the results hold."""

import enum
import json
from dataclasses import dataclass

import numpy as np

from molmo_point.plain_json import plain_json


class Tone(str, enum.Enum):
    LOW = "low"


@dataclass(frozen=True)
class Sample:
    error_mm: float
    tone: Tone


def test_missing_numbers_become_null_at_any_depth():
    value = {"a": [1.5, float("nan"), (np.float32(np.inf), np.int64(3))], Tone.LOW: np.array([[np.nan, 2.0]]), 3: True}
    assert plain_json(value) == {"a": [1.5, None, [None, 3]], "low": [[None, 2.0]], "3": True}
    assert json.loads(json.dumps(plain_json(value), allow_nan=False)) == plain_json(value)


def test_dataclasses_and_enums():
    assert plain_json([Sample(float("nan"), Tone.LOW), None]) == [{"error_mm": None, "tone": "low"}, None]
