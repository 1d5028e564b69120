"""Errors that this package raises on purpose.

Every message has three parts: the condition that does not hold, the value given, and the fix.
"Nothing found" and "no depth at the point" are answers (see `molmo_point.results`), never errors.
"""

import re

_UNSAFE = re.compile(
    # Controls, marks of direction, invisible letters, separators of lines, halves of letters, tags.
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_BREAKS = re.compile(r"\s*[\n\r]\s*")


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
        """Return one line that is safe to print: names of files and messages in it are shown, not obeyed."""
        parts = [_sentence(self.what)]
        if self.given:
            parts.append(_sentence(f"Given: {self.given}"))
        if self.fix:
            parts.append(_sentence(f"Fix: {self.fix}"))
        return printable(_BREAKS.sub(" ", " ".join(parts)))


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


class NotTrainedError(MolmoPointError):
    """The model was not trained for questions of this kind."""


class CancelledError(MolmoPointError):
    """The caller's `should_stop` ended the work before it was complete."""


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."


def printable(text: str, keep: str = "") -> str:
    r"""Replace what a terminal or a log would obey instead of showing it.

    Control characters, escape sequences, line breaks, marks of direction and invisible letters become `\uXXXX`, a form
    that is valid inside the strings of JSON.

    Args:
        text: Text that may come from files, messages or a model.
        keep: Control characters that stay, e.g. line breaks.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(lambda match: match[0] if match[0] in keep else _escaped(match[0]), text)


def _escaped(letter: str) -> str:
    halves = letter.encode("utf-16-be", "surrogatepass")
    return _SHORT.get(letter) or "".join(rf"\u{halves[k]:02x}{halves[k + 1]:02x}" for k in range(0, len(halves), 2))
