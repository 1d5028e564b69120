"""A run file describes a run; every mistake in one is named with its place."""

import re
from pathlib import Path
from typing import Any

import pytest

from molmo_point.errors import InputError
from molmo_point.finetuning.parameter_groups import GROUPS
from molmo_point.finetuning.run_file import parse_settings, read_run_file
from molmo_point.finetuning.run_settings import LORA_RATE, RATES, LabelData, Lora, Stage, TuneSettings

GOOD: dict[str, Any] = {
    "base": "tabletop", "out": "run", "data": [{"path": "rows.jsonl"}], "stages": [{"stage": "point", "images": 8000}],
}  # fmt: skip


def read(**changes: Any) -> TuneSettings:
    return parse_settings(TuneSettings, {k: v for k, v in (GOOD | changes).items() if v is not ...}, "run.yaml")


def test_what_is_left_out_has_molmos_values() -> None:
    settings = read()
    assert (settings.batch, settings.max_tokens, settings.lora, settings.z_loss) == (8, 2304, None, 1e-4)
    (stage,) = settings.stages
    assert [settings.peak(stage, group) for group in GROUPS] == [5e-6, 5e-6, 1e-5]
    assert read(lora={}).lora == read(lora=True).lora == Lora()
    assert read(lora=False).lora is None and read(lora=None).lora is None
    assert read(lora={}).peak(stage, "language") == LORA_RATE
    assert settings.model_dump(mode="json")["data"][0]["path"] == "rows.jsonl"


def test_numbers_as_yaml_gives_them() -> None:
    stage = {"stage": "caption", "images": 1e3, "rates": {"vision": "6e-6"}, "warmup": {"vision": 10}}
    (found,) = read(stages=[stage]).stages
    assert found.images == 1000 and found.rates == {"vision": 6e-6} and found.warmup == {"vision": 10}
    assert read(max_crops=4).max_crops == 4 and read(max_crops=None).max_crops is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bach": 3}, "unknown: bach"),
        ({"base": ...}, "missing: base"),
        ({"data": ...}, "missing: data"),
        ({"data": []}, "at least one entry"),
        ({"data": {"path": "x"}}, "data = .* valid list"),
        ({"data": ["rows.jsonl"]}, r"data\[0\] = 'rows.jsonl' must be names with values"),
        ({"data": [{"path": "a", "wight": 2}]}, r"data\[0\]: unknown: wight"),
        ({"data": [{}]}, r"data\[0\]: missing: path"),
        ({"data": [{"path": "a", "scenes": "b"}]}, r"data\[0\]: unknown: scenes \(names are .*path"),
        ({"bach": 3, "seed": -1}, r"unknown: bach .*seed = -1 must be greater than or equal to 0|seed = -1 .*unknown: bach"),
        ({"data": [{"path": "a", "format": "boxes"}]}, "'boxes'"),
        ({"data": [{"path": "a", "unit": "inches"}]}, "'inches'"),
        ({"data": [{"path": "a", "weight": -1}]}, r"data\[0\]\.weight = -1"),
        ({"data": [{"path": "a", "weight": 0}]}, "weights of data are 0"),
        ({"stages": [{"stage": "see", "images": 5}]}, "'see'"),
        ({"stages": [{"stage": "point"}]}, r"stages\[0\]: missing: images"),
        ({"stages": [{"stage": "point", "images": 0}]}, "equal to 1"),
        ({"stages": [{"stage": "point", "images": 5, "rates": {"head": 1}}]}, "'connector', 'vision' or 'language'"),
        ({"stages": [{"stage": "point", "images": 5, "rates": {"vision": "fast"}}]}, r"stages\[0\]\.rates\.vision = 'fast'"),
        ({"stages": [{"stage": "point", "images": 5, "rates": dict.fromkeys(RATES["point"], 0)}]}, "all rates are 0"),
        ({"batch": 2.5}, "valid integer"),
        ({"batch": True}, "batch = True must be a number"),
        ({"seed": None}, "seed = None"),
        ({"validation_share": 2}, "equal to 1"),
        ({"skip_bad": "yes"}, "valid boolean"),
        ({"lora": {"rank": 0}}, r"lora\.rank = 0"),
        ({"lora": 5}, "names with values"),
        ({"quantization": "int3", "lora": {}}, "'int3'"),
        ({"quantization": "nf4"}, "needs adapters"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(**changes)
    assert "run.yaml" in str(caught.value)


def test_rates_rise_each_at_its_own_pace_and_fall_to_a_tenth() -> None:
    warmup = {"connector": 10, "vision": 100, "language": 0}
    settings = read(
        stages=[{"stage": "caption", "images": 800}, {"stage": "point", "images": 8000, "warmup": warmup}],
        batch=8,
    )
    assert settings.total_steps == 1100
    assert settings.at(99)[0].stage == "caption" and settings.at(100) == (settings.stages[1], 0)
    first, tenth, last = (settings.rates(100 + step) for step in (0, 9, 999))
    assert first["connector"] == pytest.approx(5e-7) and tenth["connector"] == pytest.approx(5e-6)
    assert first["vision"] == pytest.approx(5e-8) and tenth["vision"] == pytest.approx(5e-7)
    assert first["language"] == pytest.approx(1e-5)
    assert all(last[group] == pytest.approx(0.1 * RATES["point"][group], rel=1e-3) for group in RATES["point"])
    middle = settings.rates(100 + 505)["connector"]
    assert middle == pytest.approx(0.55 * 5e-6, rel=0.01)
    # Molmo warms up over 2,000 steps; a stage of 100 has a tenth of itself.
    assert settings.rates(9)["vision"] == pytest.approx(6e-6) and settings.rates(4)["vision"] == pytest.approx(3e-6)
    with pytest.raises(IndexError):
        settings.at(1100)


def test_the_page_has_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    rows = {row[1].strip("` "): row[2].strip(" `") for line in page.splitlines() if len(row := line.split("|")) == 5}
    for kind in (TuneSettings, LabelData, Stage, Lora):
        for name, entry in kind.model_fields.items():
            assert name in rows, name
            if isinstance(entry.default, bool):
                assert rows[name] == str(entry.default).lower(), name
            elif isinstance(entry.default, (int, float)):
                assert float(rows[name]) == entry.default, name
    for stage in RATES:
        said = re.search(rf"`?{stage}`: ([^;]*);", rows["rates"])
        assert said is not None
        assert [float(n) for n in re.findall(r"[\d.]+e-\d+", said[1])] == list(RATES[stage].values())
    assert float(rows["rates"].partition("LoRA ")[2].split()[0]) == LORA_RATE


@pytest.mark.parametrize(("text", "said"), [("- 1", "one mapping"), ("a: [", "valid JSON or YAML"), (None, "readable")])
def test_a_file_without_settings_is_refused(text: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_run_file(path)
