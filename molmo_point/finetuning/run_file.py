"""Run files: YAML or JSON into settings; an error names every mistake of a file."""

from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from molmo_point.errors import InputError
from molmo_point.finetuning.run_settings import RunModel
from molmo_point.geometry.mapping_file import read_mapping

Settings = TypeVar("Settings", bound=RunModel)
_LONGEST = 80  # letters of a refused value in an error


def read_run_file(path: Path) -> dict[str, Any]:
    """Read names and values of a YAML file, or JSON by its suffix; InputError if it cannot be read or holds none."""
    try:
        return read_mapping(path)
    except InputError as error:
        fix = "write a file of `name: value`; see molmo-point train --help"
        raise InputError(error.what, error.given, fix) from error


def parse_settings(kind: type[Settings], values: Mapping[str, Any], origin: str) -> Settings:
    """Check the names and values of a run file; an InputError with its ``origin`` names all mistakes."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        refuse(origin, "; ".join(_told(kind, one) for one in error.errors()))


def refuse(origin: str, mistakes: str) -> NoReturn:
    """Raise the error of a run file that cannot be used."""
    fix = "correct these settings; docs/training.md describes all of them"
    raise InputError("The settings of a run must be valid", f"{origin}: {mistakes}", fix)


def _told(kind: type[BaseModel], error: Any) -> str:
    """Describe one mistake: the field, the value, the condition."""
    # Pydantic marks keys and members of unions in the path; these are no names of the file.
    path = [part for part in error["loc"] if part != "[key]" and not str(part).startswith("<")]
    if error["type"] in ("extra_forbidden", "missing"):
        known = _model_at(kind, path[:-1]) if error["type"] == "extra_forbidden" else None
        word = "unknown" if error["type"] == "extra_forbidden" else "missing"
        listed = f" (names are {', '.join(known.model_fields)})" if known else ""
        return f"{_place(path[:-1], ': ')}{word}: {path[-1]}{listed}"
    if error["type"] == "value_error":
        return f"{_place(path, ': ')}{error['msg'].removeprefix('Value error, ')}"
    must = "must be names with values" if error["type"] in ("model_type", "dict_type") else error["msg"]
    must = must.replace("Input should", "must").replace("tuple", "list")
    return f"{_place(path)} = {repr(error['input'])[:_LONGEST]} {must}"


def _place(path: list[Any], end: str = "") -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text + end if text else ""


def _model_at(kind: type[BaseModel], path: list[Any]) -> type[BaseModel] | None:
    """Return the settings class at a path of names; None if several could be meant."""
    for name in path:
        if isinstance(name, str):
            if name not in kind.model_fields:
                return None
            found = _models_in(kind.model_fields[name].annotation)
            if len(found) != 1:
                return None
            kind = found[0]
    return kind


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple):
        return [model for part in get_args(annotation) for model in _models_in(part)]
    return []
