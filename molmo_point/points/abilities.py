"""Abilities of a model: questions that it cannot answer are refused before it starts."""

from molmo_point.backend import Backend
from molmo_point.errors import InputError, NotTrainedError
from molmo_point.request import Kind, PointRequest

_ABILITIES = {
    Kind.POINT: "point at objects",
    Kind.COUNT: "count objects",
    Kind.ASK: "answer free questions",
    Kind.CAPTION: "describe images",
}


def refuse_unable(backend: Backend, request: PointRequest) -> None:
    """Refuse a request that a model cannot answer.

    Raises:
        NotTrainedError: The training of the model is described and has no questions of this kind.
        InputError: Distributions of points are wanted, and the model does not tell them.
    """
    refuse_untrained(backend, request.kind)
    if request.spread and not backend.tells_spread:
        fix = "use a Molmo v1 checkpoint, or spread=False"
        raise InputError("spread must be False for a model that does not tell its distributions", backend.name, fix)


def refuse_untrained(backend: Backend, kind: Kind) -> None:
    """Refuse a kind of question; NotTrainedError if the training of the model is described and has none of it."""
    abilities = backend.training.abilities
    if abilities is not None and kind not in abilities:
        known = " and ".join(_ABILITIES[each] for each in Kind if each in abilities) or "answer nothing"
        fix = f"use a released Molmo checkpoint, e.g. allenai/Molmo-7B-D-0924; {backend.name} can {known}"
        raise NotTrainedError(f"{backend.name} was not trained to {_ABILITIES[kind]}", kind.value, fix)
