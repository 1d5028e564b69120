"""A configuration file's names and values as `TuneSettings`; every mistake is named."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from types import UnionType
from typing import Any, NoReturn, get_args

from molmo_point.errors import InputError
from molmo_point.finetuning.labels.formats import FORMATS
from molmo_point.finetuning.parameter_groups import GROUPS
from molmo_point.finetuning.settings import STAGES, Data, Lora, Stage, TuneSettings

_QUANTIZATIONS = ("nf4", "int8")
_UNITS = ("percent", "pixels")
_SHARES = {"dropout", "validation_share", "short_answers"}
_FROM_ONE = {"images", "rank", "batch", "micro_batch", "annotations", "max_tokens", "check_every", "check_images"}


def tune_settings(values: Mapping[str, Any], origin: str) -> TuneSettings:
    """Settings of a run.

    Args:
        values: As they stand in the file.
        origin: What an error names: the file.

    Raises:
        InputError: A name is unknown or missing, or a value cannot be meant.
    """
    plain = dict(values)
    nested: dict[str, Any] = {"data": _several(plain.pop("data", None), Data, f"{origin}: data")}
    nested["stages"] = _several(plain.pop("stages", None), Stage, f"{origin}: stages")
    lora = plain.pop("lora", None)
    if lora is not None and lora is not False:
        nested["lora"] = _one({} if lora is True else lora, Lora, f"{origin}: lora")
    settings: TuneSettings = _one(plain, TuneSettings, origin, nested)
    _check_data(settings, origin)
    if settings.quantization and settings.quantization not in _QUANTIZATIONS:
        _refuse(origin, f"quantization = {settings.quantization!r}", f"one of {', '.join(_QUANTIZATIONS)}, or nothing")
    if settings.quantization and settings.lora is None:
        _refuse(origin, f"quantization = {settings.quantization!r} without lora", "rounded weights are not trained; add lora: {}")
    return settings


def to_json(settings: TuneSettings) -> dict[str, Any]:
    """The settings as JSON holds them."""
    values = asdict(settings)
    return values | {"data": list(values["data"]), "stages": list(values["stages"])}


def _check_data(settings: TuneSettings, origin: str) -> None:
    for data in settings.data:
        given = f"data: {data.path or data.scenes or 'an entry'}"
        if bool(data.path) == bool(data.scenes):
            _refuse(origin, given, "every entry of data needs either path (rows) or scenes (rendered)")
        if data.format and data.format not in FORMATS:
            _refuse(origin, f"{given}: format = {data.format!r}", f"one of {', '.join(FORMATS)}, or nothing")
        if data.unit and data.unit not in _UNITS:
            _refuse(origin, f"{given}: unit = {data.unit!r}", f"one of {', '.join(_UNITS)}, or nothing")
    for stage in settings.stages:
        if stage.stage not in STAGES:
            _refuse(origin, f"stages: stage = {stage.stage!r}", f"one of {', '.join(STAGES)}")
        if stage.stage == "point" and not any(data.weight for data in settings.data):
            _refuse(origin, "all weights of data are 0", "give one of them a weight")
        if all(settings.peak(stage, group) == 0 for group in GROUPS):
            _refuse(origin, f"stages: {stage.stage}: all rates are 0", "leave out rates, or train something")


def _several(entries: Any, kind: type, origin: str) -> tuple[Any, ...]:
    if not isinstance(entries, list) or not entries:
        _refuse(origin, "missing" if entries is None else repr(entries)[:80], "a list with at least one entry")
    return tuple(_one(entry, kind, f"{origin}[{number}]") for number, entry in enumerate(entries))


def _one(values: Any, kind: type, origin: str, known: Mapping[str, Any] | None = None) -> Any:
    """An instance of a settings class out of names and values; ``known`` are those that were read already."""
    known = known or {}
    if not isinstance(values, Mapping):
        _refuse(origin, repr(values)[:80], "names with values")
    types = {entry.name: entry.type for entry in fields(kind) if entry.name not in known}
    # None-able settings that were left out are not asked for.
    required = {e.name for e in fields(kind) if e.default is MISSING and e.default_factory is MISSING} - set(known)
    unknown, missing = sorted(set(map(str, values)) - set(types)), sorted(required - set(values))
    if unknown or missing:
        given = ", ".join([*(f"unknown: {name}" for name in unknown), *(f"missing: {name}" for name in missing)])
        _refuse(origin, given, f"names are {', '.join(types)}")
    return kind(**{name: _value(f"{origin}: {name}", name, value, types[name]) for name, value in values.items()}, **known)


def _value(origin: str, name: str, value: Any, kind: Any) -> Any:
    if isinstance(kind, UnionType):  # only `X | None`
        return None if value is None else _value(origin, name, value, get_args(kind)[0])
    if kind is dict or getattr(kind, "__origin__", None) is dict:
        if not isinstance(value, Mapping) or set(value) - set(GROUPS):
            _refuse(origin, repr(value), f"a number for any of {', '.join(GROUPS)}")
        return {group: _number(f"{origin}.{group}", name, number, get_args(kind)[1]) for group, number in value.items()}
    if kind is bool or kind is str:
        if not isinstance(value, kind):
            _refuse(origin, repr(value), "true or false" if kind is bool else "a text")
        return value
    return _number(origin, name, value, kind)


def _number(origin: str, name: str, value: Any, kind: Any) -> Any:
    try:
        if isinstance(value, (bool, list, dict)) or value is None:
            raise ValueError
        number = float(value)  # YAML reads 1e-3 as text
        if number != number or number < 0 or (kind is int and number != int(number)):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        _refuse(origin, repr(value), "a whole number from 0" if kind is int else "a number from 0")
    if (name in _SHARES and number > 1) or (name in _FROM_ONE and number < 1):
        _refuse(origin, repr(value), "a share from 0 to 1" if name in _SHARES else "at least 1")
    return int(number) if kind is int else number


def _refuse(origin: str, given: str, fix: str) -> NoReturn:
    raise InputError("The configuration of the training cannot be used", f"{origin}: {given}", fix)
