"""Continuations that the answer format forces.

Molmo v1 answers in a fixed form, in which only digits and the choice of words carry information. The model verifies
every proposal, so a wrong one costs time and never changes the answer.
"""

import re
from dataclasses import dataclass

from molmo_point.backend import Prompt
from molmo_point.request import Kind

_STYLES = {Kind.POINT: "pointing", Kind.COUNT: "counting"}
_ABSENT = " There are none."
_OPENERS = {
    "pointing": (' <point x="', ' <points x1="', _ABSENT),
    "counting": (' Counting the <points x1="', ' Counting the <point x="', _ABSENT),
}
ABSENT_STARTS = (_ABSENT, " This isn't in the image.", " None")
LABEL_START = ' alt="'
"""Text before a label."""
# The last number of a tag and the text after it; labels are handled separately.
_LAST_NUMBER = re.compile(r' ([xy])(\d{0,6})="(\d{0,3})(\.\d?)?("[^"]{0,15})?$')
_LAST_POINT = re.compile(r' y(\d{1,6})="[\d.]*"$')
_NUMBER = re.compile(r'(?<= [xy]="|[ xy]\d=")[\d.]+|(?<=\d\d=")[\d.]+')
_COMPLETE_POINT = re.compile(r' y\d{0,6}="\d{1,3}\.\d')


@dataclass(frozen=True)
class ExpectedAnswer:
    """The expected form of an answer.

    Attributes:
        style: ``"pointing"``, ``"counting"``, or ``""`` for a free question.
        label: Object to point at, in the user's words.
    """

    style: str = ""
    label: str = ""

    @classmethod
    def to(cls, prompt: Prompt) -> "ExpectedAnswer":
        """Expect the answer to a prompt; free questions have no fixed form."""
        style = _STYLES.get(prompt.kind, "")
        return cls(style, prompt.words) if style else cls()

    @property
    def labels(self) -> tuple[str, ...]:
        """Likely labels: the words without their article, in lower case, and as given."""
        if not self.label:
            return ()
        bare = re.sub(r"^(?:the|a|an|all|every|each|any)\s+", "", self.label.lower())
        return tuple(dict.fromkeys((bare, self.label.lower(), self.label)))


@dataclass(frozen=True)
class Continuations:
    """Possible continuations of an answer.

    Attributes:
        texts: Alternatives, likeliest first; each ends at the end of the answer or before a digit.
        digits: Number of digits of the integer part of a number at the end of the text, 1 to 3; 0 if it does not end there.
        tenth: True if the text ends with the dot of a number, so that its only decimal is next.
    """

    texts: tuple[str, ...] = ()
    digits: int = 0
    tenth: bool = False


def continuations(text: str, request: ExpectedAnswer) -> Continuations:
    """Propose continuations of the beginning of an answer, which has its leading space."""
    openers = tuple(o[len(text) :] for o in _OPENERS.get(request.style, ()) if o.startswith(text) and len(o) > len(text))
    if openers:
        return Continuations(openers)
    tag = text.rfind("<point")
    if tag < 0:
        return Continuations()
    alt = text.find(LABEL_START, tag)
    if alt >= 0:
        return Continuations(_label_rest(text, tag, alt, request))
    match = _LAST_NUMBER.search(text, max(tag, len(text) - 40))
    if match is None:
        return Continuations()
    axis, index, whole, fraction, typed = match.groups(default="")
    if whole and not fraction and not typed:
        return Continuations((".",), len(whole))
    if len(fraction) < 2:
        return Continuations(tenth=fraction == "." and not typed)
    rests = _after_number(axis, index, request, text, tag)
    return Continuations(tuple(r[len(typed) :] for r in rests if r.startswith(typed) and len(r) > len(typed)))


def _after_number(axis: str, index: str, request: ExpectedAnswer, text: str, tag: int) -> tuple[str, ...]:
    """Propose the text after a complete coordinate."""
    if axis == "x":
        return (f'" y{index}="',)
    endings = tuple('"' + ending for ending in _endings(index, request, text, tag))
    # The next point comes first, because long answers have many points and one label.
    return (f'" x{int(index) + 1}="', *endings) if index else endings


def _endings(index: str, request: ExpectedAnswer, text: str, tag: int) -> tuple[str, ...]:
    """Propose the text from the alt text to the end of the answer, for each likely label."""
    close = "</points>" if index else "</point>"
    total = _total(request, text, tag, index)
    return tuple(f'{LABEL_START}{label}">{label}{close}{total}' for label in request.labels) or (LABEL_START,)


def _label_rest(text: str, tag: int, alt: int, request: ExpectedAnswer) -> tuple[str, ...]:
    """Propose the rest of an answer that has begun its alt text."""
    point = _LAST_POINT.search(text, max(tag, alt - 24), alt)
    index = point[1] if point else ""
    close = "</points>" if index else "</point>"
    total = _total(request, text, tag, index)
    body = text[alt + len(LABEL_START) :]
    written, quote, inner = body.partition('">')
    # A label that the model has written itself is echoed.
    labels = (written,) if quote else (body.removesuffix('"'), *request.labels)
    wholes = [f'{label}">{label}{close}{total}' for label in labels if label]
    if quote and "<" not in inner:
        wholes.append(f"{body}{close}{total}")  # not echoed: the label may be complete here
    elif quote:
        wholes.append(f'{written}">{inner[: inner.index("<")]}{close}{total}')
    rests = (whole[len(body) :] for whole in wholes if whole.startswith(body) and len(whole) > len(body))
    return tuple(dict.fromkeys(rests))


def _total(request: ExpectedAnswer, text: str, tag: int, index: str) -> str:
    if not text[:tag].endswith("Counting the "):
        return ""
    return f" shows a total of {index or 1}."


def complete_points(text: str) -> int:
    """Count the points of an answer that have both coordinates, with a decimal each."""
    return sum(1 for _ in _COMPLETE_POINT.finditer(text))


def follow_last_answer(text: str, last: str) -> str:
    """Take the rest of the last answer from the place that the new one has reached; empty if they differ.

    Places correspond if the same number of numbers has begun. Their digits may differ, because a small change of the scene
    moves its points slightly.
    """
    old, new = list(_NUMBER.finditer(last)), list(_NUMBER.finditer(text))
    if not new:
        return last[len(text) :] if last.startswith(text) else ""
    if len(new) > len(old):
        return ""
    there, here = old[len(new) - 1], new[-1]
    if here.end() == len(text):
        done = len(here[0])
        # "9.8" may have become "10.1": the digits do not line up, but the decimals do.
        if "." in here[0] and "." in there[0]:
            done = there[0].index(".") + len(here[0]) - here[0].index(".")
        return last[there.start() + min(done, len(there[0])) :]
    between = text[here.end() :]
    return last[there.end() + len(between) :] if last.startswith(between, there.end()) else ""
