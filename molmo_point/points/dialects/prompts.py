"""What is said to Molmo: its turn format, the styles it was trained on, and the requests of the SDK.

Pointing, counting, captions and chat need no style; a style is for the answer format of one of the
training sets ("vqa2: What colour is the mug?" is answered in a word or two).
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from molmo_point.errors import InputError

STYLES = (
    "vqa2", "text_vqa", "okvqa", "chart_qa", "doc_qa", "info_qa", "ai2_diagram", "ai2_diagram_no_letter", "a_okvqa_mc",
    "a_okvqa_da", "science_qa", "tabwmp_da", "st_qa", "tally_qa", "dv_qa", "figure_qa", "plot_qa", "clocks",
    "pixmo_docs_charts", "pixmo_docs_tables", "pixmo_docs_other", "pixmo_docs_diagrams", "scifi_charts", "scifi_table",
    "scifi_document", "scifi_diagram", "synthetic_qa", "point_qa", "user_qa", "pointing", "point_count", "long_caption",
    "transcript",
)  # fmt: skip
"""Style names of the released training data; the ``scifi_`` ones are older names of ``pixmo_docs_``."""

STYLE_ALIASES = {"eval_short_answer": "vqa2", "eval_multiple_choice": "a_okvqa_mc"}
"""Names that the official evaluation uses for two of the styles."""

MESSAGE_FORMATS = ("role", "none")
CAPTION_LENGTH = 65
"""The length hint that caption-only checkpoints are asked with by default."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CAPTION_STYLES = ("long_caption", "transcript")


def user_turn(text: str, style: str | None = None) -> str:
    """One user turn in the format of the released models; the leading space matters."""
    return framed(text, style)


def framed(text: str, style: str | None = None, message_format: str = "role", always_start_with_space: bool = True) -> str:
    """A user's words in the frame that the model was trained with.

    Args:
        text: What the user says.
        style: One of `STYLES` or `STYLE_ALIASES`, put before the words; None for none.
        message_format: ``"role"`` gives "User: … Assistant:", as the released models want it;
            ``"none"`` leaves the words alone (caption-only checkpoints).
        always_start_with_space: Put a space in front; with and without it are different tokens.

    Raises:
        InputError: The style or the message format does not exist, or ``text`` is not text.
    """
    if message_format not in MESSAGE_FORMATS:
        raise InputError("There is no such message format", repr(message_format), f"use one of {', '.join(MESSAGE_FORMATS)}")
    text = _checked_text(text)
    if style is not None:
        text = f"{checked_style(style)}: {text}"
    if message_format == "role":
        text = f"User: {text} Assistant:"
    return f" {text}" if always_start_with_space else text


def chat_turns(messages: Sequence[dict[str, Any]]) -> list[str]:
    """The turns of a conversation as strings that are turned into tokens one by one.

    Args:
        messages: ``{"role": "user" | "assistant", "content": text}`` in turns, the user first and
            last. ``content`` may also be a list of parts ``{"type": "text", "text": …}``; parts of
            another type are left out here.

    Returns:
        As many strings. Those of the assistant (every second one) are followed by the
        end-of-sequence token.

    Raises:
        InputError: A role is unknown or out of turn, or a content is not text.
    """
    if not isinstance(messages, (list, tuple)) or not messages:
        raise InputError("There are no messages", repr(messages)[:80], 'pass [{"role": "user", "content": "…"}]')
    turns = []
    for k, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        expected = ("user", "assistant")[k % 2]
        if role != expected:
            raise InputError(
                "The turns of the conversation are out of order",
                f"message {k} has the role {role!r}, not {expected!r}",
                "let user and assistant alternate, the user first; Molmo knows no system role",
            )
        text = _content_text(message.get("content"), k)
        turns.append(user_turn(text) if role == "user" else f" {text}")
    if len(messages) % 2 == 0:
        raise InputError("The last turn is the assistant's", "nothing is left to answer", "end with a user's message")
    return turns


def pointing_prompt(query: str) -> str:
    """Request for the points of ``query``; Molmo was trained on lower-case labels."""
    return f"Point to {query.strip().rstrip('.')}"


def counting_prompt(query: str) -> str:
    """Request to point at every ``query`` and say how many there are."""
    return f"How many {query.strip().rstrip('?').rstrip('.')} are there?"


def caption_prompt(length: int | None = None, style: str = "long_caption") -> str:
    """Request for a description.

    Args:
        length: None asks a chat model in words. A number gives the prompt of caption-only
            checkpoints, "long_caption 65:"; longer captions need larger numbers (`CAPTION_LENGTH`
            is usual).
        style: ``"long_caption"`` or ``"transcript"`` (spoken language); only used with a length.

    Raises:
        InputError: The length is not a positive whole number, or the style is another one.
    """
    if style not in _CAPTION_STYLES:
        raise InputError("This is no style of caption", repr(style), f"use {' or '.join(_CAPTION_STYLES)}")
    if length is None:
        return "Describe this image."
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise InputError("The length of a caption must be a positive whole number", repr(length), f"e.g. {CAPTION_LENGTH}")
    return f"{style} {length}:"


def question_prompt(question: str, pointing: bool = True) -> str:
    """A free question; ``pointing=False`` asks for an answer without points."""
    question = _checked_text(question).strip()
    return question if pointing else f"No pointing: {question}"


def multiple_choice_prompt(question: str, options: Sequence[str]) -> str:
    """A question with lettered options, to be answered with a letter; use style ``a_okvqa_mc``.

    Raises:
        InputError: Fewer than two or more than 26 options.
    """
    if isinstance(options, str) or not 2 <= len(options) <= len(_LETTERS):
        raise InputError("A choice needs 2 to 26 options", repr(options)[:80], "pass a list of texts")
    lines = [f"{letter}: {_checked_text(option)}\n" for letter, option in zip(_LETTERS, options)]
    return f"{_checked_text(question)}\n{''.join(lines)}"


def checked_style(style: str) -> str:
    """The style's name as the model knows it.

    Raises:
        InputError: There is no such style; the nearest names come first in the message.
    """
    name = STYLE_ALIASES.get(style, style) if isinstance(style, str) else style
    if name not in STYLES:
        names = (*STYLES, *STYLE_ALIASES)
        near = get_close_matches(str(style), names, n=3, cutoff=0.4)
        rest = [known for known in names if known not in near]
        raise InputError("Molmo knows no such style", repr(style), f"use one of {', '.join((*near, *rest))}, or None")
    return name


def _content_text(content: Any, index: int) -> str:
    if isinstance(content, str):
        return _checked_text(content)
    if isinstance(content, (list, tuple)) and all(isinstance(part, dict) for part in content):
        return " ".join(_checked_text(part.get("text")) for part in content if part.get("type") == "text")
    raise InputError("The content of a message must be text", f"message {index}: {type(content).__name__}", 'pass "content": "…"')


def _checked_text(text: Any) -> str:
    if not isinstance(text, str):
        raise InputError("What is said to the model must be text", type(text).__name__, "pass a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("The text holds half a character", str(error), "pass valid Unicode, without lone surrogates") from error
    return text
