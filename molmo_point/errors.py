"""Errors that this package raises on purpose.

Every message has three parts: the condition that does not hold, the value given, and the fix.
"Nothing found" and "no depth at the point" are answers (see `molmo_point.results`), never errors.
"""


class MolmoPointError(Exception):
    """Base of every error of this package.

    Args:
        what: Condition that does not hold, `<name> must be <condition>`, one sentence without its period.
        given: The refused value, as text.
        fix: Instruction to the caller.
    """

    def __init__(self, what: str, given: str = "", fix: str = "") -> None:
        super().__init__(what, given, fix)
        self.what = what
        self.given = given
        self.fix = fix

    def __str__(self) -> str:
        parts = [_sentence(self.what)]
        if self.given:
            parts.append(_sentence(f"Given: {self.given}"))
        if self.fix:
            parts.append(_sentence(f"Fix: {self.fix}"))
        return " ".join(parts)


class InputError(MolmoPointError, ValueError):
    """A value, an array, a file or a setting is invalid."""


class DepthInputError(InputError):
    """A depth image, or the camera info that belongs to it, cannot be used as given."""


class FrameError(MolmoPointError, ValueError):
    """A point or a transform is in another coordinate frame than needed."""


class CameraError(MolmoPointError, RuntimeError):
    """A camera is missing, was lost, or does not deliver the requested data."""


class CheckpointError(MolmoPointError):
    """A model checkpoint is missing, incomplete, or of an unknown kind."""


class DependencyError(MolmoPointError, ImportError):
    """An optional dependency is not installed, or has an unsupported version."""


class CancelledError(MolmoPointError):
    """The caller's `should_stop` ended the work before it was complete."""


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."
