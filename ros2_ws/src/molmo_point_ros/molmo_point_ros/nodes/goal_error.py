"""Error codes of the actions, and the error that carries one."""

from enum import IntEnum
from typing import Any

from molmo_point_msgs.action import PickObject, Teach

from molmo_point.errors import (
    CameraError,
    CancelledError,
    DepthInputError,
    FrameError,
    InputError,
    MolmoPointError,
    NotTrainedError,
)
from molmo_point.text_checks import printable

_Codes, _TeachCodes = PickObject.Result, Teach.Result
"""PickObject has the codes of every action that asks, and its own; Teach has those of teaching."""

MOST_LETTERS = 500
"""Of each of a message's three parts."""


class ErrorCode(IntEnum):
    """The constants of the action results."""

    NONE = _Codes.NONE
    GOAL_REJECTED = _Codes.GOAL_REJECTED
    NO_IMAGE = _Codes.NO_IMAGE
    NO_DEPTH = _Codes.NO_DEPTH
    SYNC_ERROR = _Codes.SYNC_ERROR
    TF_ERROR = _Codes.TF_ERROR
    CAMERA_MOVED = _Codes.CAMERA_MOVED
    MODEL_ERROR = _Codes.MODEL_ERROR
    PARSE_ERROR = _Codes.PARSE_ERROR
    TIMEOUT = _Codes.TIMEOUT
    CANCELED = _Codes.CANCELED
    NO_GRASP = _Codes.NO_GRASP
    PLANNING_ERROR = _Codes.PLANNING_ERROR
    GRASP_FAILED = _Codes.GRASP_FAILED
    NOT_FOUND = _Codes.NOT_FOUND
    WRONG_OBJECT = _Codes.WRONG_OBJECT
    UNTRUSTED = _Codes.UNTRUSTED
    NOT_TRAINED = _Codes.NOT_TRAINED
    NO_OBJECT = _TeachCodes.NO_OBJECT
    SEVERAL_OBJECTS = _TeachCodes.SEVERAL_OBJECTS
    NAME_EXISTS = _TeachCodes.NAME_EXISTS
    LIBRARY_ERROR = _TeachCodes.LIBRARY_ERROR
    UNKNOWN = _Codes.UNKNOWN


_CODE_OF = (
    (DepthInputError, ErrorCode.NO_DEPTH),
    (InputError, ErrorCode.GOAL_REJECTED),
    (CameraError, ErrorCode.NO_IMAGE),
    (FrameError, ErrorCode.TF_ERROR),
    (CancelledError, ErrorCode.CANCELED),
    (NotTrainedError, ErrorCode.NOT_TRAINED),
    (MolmoPointError, ErrorCode.MODEL_ERROR),
)
"""Code of every error class of the SDK; the first match counts."""


class GoalError(MolmoPointError):
    """A goal ends without an answer. Long texts that a client sent are clipped in the message.

    Args:
        code: Error code of the result.
        what: The fault.
        given: The refused value.
        fix: The remedy.
    """

    def __init__(self, code: int, what: str, given: str = "", fix: str = "") -> None:
        super().__init__(*(brief(part, MOST_LETTERS) for part in (what, given, fix)))
        self.code = code


def goal_error_of(error: Exception) -> GoalError:
    """Return an exception as the error of a goal; its code follows from its class."""
    if isinstance(error, GoalError):
        return error
    for kind, code in _CODE_OF:
        if isinstance(error, kind):
            assert isinstance(error, MolmoPointError)
            return GoalError(code, error.what, error.given, error.fix)
    return GoalError(ErrorCode.UNKNOWN, f"Unexpected: {error!r}", "", "report it, with the node's log")


def answered(result: Any) -> Any:
    """Return the result of an action if it has no error.

    Raises:
        GoalError: With the result's code and message.
    """
    if result.error_code != ErrorCode.NONE:
        raise GoalError(result.error_code, result.error_msg or code_name(result.error_code))
    return result


def code_name(code: int) -> str:
    """Return the name of an error code, e.g. "SYNC_ERROR"; the number as text for an unknown code."""
    return ErrorCode(code).name if code in set(ErrorCode) else str(code)


def brief(text: str, most: int = 3 * MOST_LETTERS) -> str:
    """Return a text for logs and results: without control characters, and clipped. It may come from a client."""
    return printable(text if len(text) <= most else f"{text[:most]}... ({len(text)} letters)")
