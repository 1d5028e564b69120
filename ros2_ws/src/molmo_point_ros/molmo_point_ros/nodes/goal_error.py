"""Why a goal was not answered: the error code of the action and a message."""

from typing import Any

from molmo_point_msgs.action import PointAt

from molmo_point.errors import MolmoPointError

CODES = PointAt.Result
_NAMES = (
    *("NONE", "GOAL_REJECTED", "NO_IMAGE", "NO_DEPTH", "SYNC_ERROR", "TF_ERROR", "CAMERA_MOVED"),
    *("MODEL_ERROR", "PARSE_ERROR", "TIMEOUT", "CANCELED", "UNKNOWN"),
)

MOST_LETTERS = 500
"""Of each of a message's three parts."""


class GoalError(MolmoPointError):
    """A goal ends without an answer. What somebody sent is part of the message, but never more of it than can be read.

    Args:
        code: One of PointAt.Result's constants.
        what: What is wrong.
        given: What was given.
        fix: What to do.
    """

    def __init__(self, code: int, what: str, given: str = "", fix: str = "") -> None:
        super().__init__(_clipped(what), _clipped(given), _clipped(fix))
        self.code = code


def _clipped(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}... ({len(text)} letters)"


def answered(result: Any) -> Any:
    """The result of an action, if it is an answer.

    Raises:
        GoalError: With the result's code and message, if it is none.
    """
    if result.error_code != CODES.NONE:
        raise GoalError(result.error_code, result.error_msg or code_name(result.error_code))
    return result


def code_name(code: int) -> str:
    """The constant's name, e.g. "SYNC_ERROR"; the number as text where there is no such constant."""
    return next((name for name in _NAMES if getattr(CODES, name) == code), str(code))
