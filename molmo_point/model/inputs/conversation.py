"""The image of a conversation, wherever in its first turn it stands."""

from collections.abc import Sequence
from typing import Any

from molmo_point.errors import InputError

_KEYS = ("image", "path", "url")


def conversation_image(messages: Sequence[dict[str, Any]], image: Any = None) -> Any:
    """The one image of a conversation, or None.

    Args:
        messages: See `MolmoProcessor.chat`.
        image: An image given beside the messages.

    Raises:
        InputError: There are several, one stands in a later turn, or a part holds none.
    """
    found = [] if image is None else [image]
    for k, message in enumerate(messages):
        content = message.get("content")
        for part in content if isinstance(content, (list, tuple)) else ():
            kind = part.get("type")
            if kind == "text":
                continue
            if kind not in ("image", "image_url"):
                raise InputError("Molmo reads text and images", f"message {k} has a part of type {kind!r}", "leave it out")
            if k > 0:
                raise InputError(
                    "Only the first turn can hold an image", f"message {k} has one", "start a new conversation about it"
                )
            given = [part[key] for key in (*_KEYS, "image_url") if part.get(key) is not None]
            if not given:
                raise InputError("A part of type image holds none", repr(part)[:80], 'pass {"type": "image", "image": …}')
            found.append(given[0].get("url") if isinstance(given[0], dict) else given[0])
    if len(found) > 1:
        raise InputError(
            "Molmo was trained on one image a conversation and cannot compare several",
            f"{len(found)} images",
            "ask about one image at a time, or use a Molmo2 checkpoint",
        )
    return found[0] if found else None
