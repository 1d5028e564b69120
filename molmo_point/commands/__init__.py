"""Commands to an arm in plain English, as steps that a program executes."""

from molmo_point.commands.grammar import parse_command
from molmo_point.commands.steps import (
    Command,
    CountStep,
    PickStep,
    PlaceStep,
    PointStep,
    Relation,
    Step,
    StopStep,
)
from molmo_point.commands.vocabulary import FORMS

__all__ = [
    "FORMS",
    "Command",
    "CountStep",
    "PickStep",
    "PlaceStep",
    "PointStep",
    "Relation",
    "Step",
    "StopStep",
    "parse_command",
]
