"""The errors that this package raises on purpose.

Every message has three parts: what is wrong, what was given, and what to do about it.
"Nothing found" and "no depth there" are answers (see `molmo_point.results`), never errors.
"""


class MolmoPointError(Exception):
    """Base of every error of this package.

    Args:
        what: What is wrong, one sentence without its full stop.
        given: The value that was refused, as text.
        fix: What the caller can do about it.
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
    """A value, an array, a file or a setting cannot be used as given."""


class DepthInputError(InputError):
    """A depth image, or the camera info that belongs to it, cannot be used as given."""


class FrameError(MolmoPointError, ValueError):
    """Coordinate frames do not meet: a point or a transform is in another frame than needed."""


class CameraError(MolmoPointError, RuntimeError):
    """A camera is missing, is lost, or does not deliver what was asked of it."""


class CheckpointError(MolmoPointError):
    """A model checkpoint is missing, incomplete, or not one that this package can run."""


class DependencyError(MolmoPointError, ImportError):
    """An optional dependency is not installed or has an unusable version."""


class CancelledError(MolmoPointError):
    """The caller's `should_stop` asked for the work to end before it was complete."""


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."
