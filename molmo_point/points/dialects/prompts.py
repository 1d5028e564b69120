"""Prompts for Molmo: turn format, styles of the training, and the requests of the SDK.

Pointing, counting, captions and chat need no style. A style selects the answer format of a training
set: "vqa2: What color is the mug?" gets an answer of one or two words.
"""

import re
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
"""Style names of the released training data; ``scifi_`` is the older name of ``pixmo_docs_``."""

STYLE_ALIASES = {"eval_short_answer": "vqa2", "eval_multiple_choice": "a_okvqa_mc"}
"""Names of two styles in the official evaluation."""

MESSAGE_FORMATS = ("role", "none")
CAPTION_LENGTH = 65
"""Default length hint of caption-only checkpoints."""

_ARTICLE = re.compile(r"^(?:all )?the (?=\S)", re.IGNORECASE)
_CAPTION_STYLES = ("long_caption", "transcript")


def user_turn(text: str, style: str | None = None) -> str:
    """Format one user turn for the released models; the leading space matters."""
    return framed(text, style)


def framed(text: str, style: str | None = None, message_format: str = "role", always_start_with_space: bool = True) -> str:
    """Put user text into the frame of the training.

    Args:
        text: User text.
        style: One of `STYLES` or `STYLE_ALIASES`, which precedes the text; None means no style.
        message_format: "role" gives "User: … Assistant:"; "none" keeps the text unchanged (caption-only checkpoints).
        always_start_with_space: True adds a leading space, which changes the tokens.

    Raises:
        InputError: The style or the message format is unknown, or ``text`` is not text.
    """
    if message_format not in MESSAGE_FORMATS:
        raise InputError("message_format must be known", repr(message_format), f"use one of {', '.join(MESSAGE_FORMATS)}")
    text = _checked_text(text)
    if style is not None:
        text = f"{checked_style(style)}: {text}"
    if message_format == "role":
        text = f"User: {text} Assistant:"
    return f" {text}" if always_start_with_space else text


def chat_turns(messages: Sequence[dict[str, Any]]) -> list[str]:
    """Format the turns of a conversation as strings, to be tokenized one by one.

    Args:
        messages: Turns ``{"role": "user" | "assistant", "content": text}``, user first and last. ``content`` may also be a
            list of parts, of which those ``{"type": "text", "text": …}`` are used.

    Returns:
        One string per turn. The end-of-sequence token follows those of the assistant.

    Raises:
        InputError: A role is unknown or out of order, or a content is not text.
    """
    if not isinstance(messages, (list, tuple)) or not messages:
        raise InputError("messages must not be empty", repr(messages)[:80], 'pass [{"role": "user", "content": "…"}]')
    turns = []
    for k, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        expected = ("user", "assistant")[k % 2]
        if role != expected:
            raise InputError(
                "User and assistant must alternate, user first",
                f"message {k} has the role {role!r}, not {expected!r}",
                "put the turns in order; Molmo has no system role",
            )
        text = _content_text(message.get("content"), k)
        turns.append(user_turn(text) if role == "user" else f" {text}")
    if len(messages) % 2 == 0:
        raise InputError("The last turn must be the user's", "a turn of the assistant", "end with a user's message")
    return turns


def pointing_prompt(query: str) -> str:
    """Ask for the points of ``query``, as the dialect writes the words."""
    return f"Point to {query.strip().rstrip('.')}"


def counting_prompt(query: str) -> str:
    """Ask to point at every ``query`` and count them; "how many the cubes" is no question, so the article is dropped."""
    return f"How many {_ARTICLE.sub('', query.strip().rstrip('?').rstrip('.'))} are there?"


def caption_prompt(length: int | None = None, style: str = "long_caption") -> str:
    """Ask for a description.

    Args:
        length: Length hint of caption-only checkpoints, whose default is `CAPTION_LENGTH`; None asks a chat model in words.
        style: "long_caption" or "transcript" (spoken language); only used with a length.

    Raises:
        InputError: The length is not a positive integer, or the style is unknown.
    """
    if style not in _CAPTION_STYLES:
        raise InputError("style must be one of a caption", repr(style), f"use {' or '.join(_CAPTION_STYLES)}")
    if length is None:
        return "Describe this image."
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise InputError("length must be a positive integer", repr(length), f"e.g. {CAPTION_LENGTH}")
    return f"{style} {length}:"


def question_prompt(question: str, pointing: bool = True) -> str:
    """Ask a free question; ``pointing=False`` asks for an answer without points."""
    question = _checked_text(question).strip()
    return question if pointing else f"No pointing: {question}"


def checked_style(style: str) -> str:
    """Resolve the name of a style.

    Raises:
        InputError: The style is unknown; the message lists the most similar names first.
    """
    name = STYLE_ALIASES.get(style, style) if isinstance(style, str) else style
    if name not in STYLES:
        names = (*STYLES, *STYLE_ALIASES)
        near = get_close_matches(str(style), names, n=3, cutoff=0.4)
        rest = [known for known in names if known not in near]
        raise InputError("style must be known to Molmo", repr(style), f"use one of {', '.join((*near, *rest))}, or None")
    return name


def _content_text(content: Any, index: int) -> str:
    if isinstance(content, str):
        return _checked_text(content)
    if isinstance(content, (list, tuple)) and all(isinstance(part, dict) for part in content):
        return " ".join(_checked_text(part.get("text")) for part in content if part.get("type") == "text")
    raise InputError("content of a message must be text", f"message {index}: {type(content).__name__}", 'pass "content": "…"')


def _checked_text(text: Any) -> str:
    if not isinstance(text, str):
        raise InputError("A prompt must be text", type(text).__name__, "pass a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("The text must be valid Unicode", str(error), "remove lone surrogates") from error
    return text
