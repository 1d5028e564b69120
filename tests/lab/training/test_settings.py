"""Learning rates of the two phases, and which settings are a run's own."""

from itertools import pairwise
from typing import Any

import pytest

from lab.training.settings import PretrainSettings
from molmo_point.errors import InputError
from molmo_point.finetuning.run_file import parse_settings


def run(**changes: Any) -> PretrainSettings:
    return PretrainSettings(**{"scenes": "s", "out": "o", **changes})


def test_learning_rates_rise_hold_and_fall_in_each_phase() -> None:
    settings = run(see_images=4000, point_images=8000, batch=8, workers=1)
    rates = [settings.rate(images) for images in range(0, 12_000, 8)]
    see, point = rates[:500], rates[500:]
    assert 0 < see[0] < 0.05e-3 and 0 < point[0] < 0.05e-3
    assert max(see) == settings.see_rate == see[360] and max(point) == settings.point_rate == point[740]
    assert see[-1] == pytest.approx(0.4 * settings.see_rate, rel=0.01)
    assert point[-1] == pytest.approx(0.05 * settings.point_rate, rel=0.01)
    assert all(a >= b for a, b in pairwise(point[110:]))


def test_differing_settings_are_named_and_new_ones_are_not() -> None:
    settings = run()
    saved = run(seed=3, batch=24, check_every=7, scenes="elsewhere").model_dump(mode="json")
    assert settings.differing(saved) == ["batch", "seed"]
    del saved["seed"]  # of a run that began before there was such a setting
    assert settings.differing(saved) == ["batch"]


def test_settings_that_cannot_be_are_refused() -> None:
    for change, said in (
        ({"size": "huge"}, "size = 'huge'"),
        ({"workers": 5}, "multiple of workers"),
        ({"workers": 0}, "workers = 0"),
    ):
        with pytest.raises(InputError, match=said):
            parse_settings(PretrainSettings, {"scenes": "s", "out": "o", **change}, "test")


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in PretrainSettings.model_fields.values())
