"""Tags of points and tracks, as several dialects write them."""

import re

TAG_START = re.compile(r"<(/?)(points?|tracks?)(?=[\s>/]|$)", re.IGNORECASE)
"""Start of an opening or closing tag of any dialect."""


def ends_in_tag(text: str) -> bool:
    """Tell whether the last tag, of points or of tracks, was opened and not closed."""
    last = None
    for last in TAG_START.finditer(text):  # noqa: B007 (the last one is wanted)
        pass
    if last is None:
        return False
    end = text.find(">", last.end())
    return end < 0 or (not last[1] and text[end - 1] != "/")


def last_tag(text: str) -> re.Match[str] | None:
    """Find the last complete name of a tag: what precedes it cannot be changed by more text."""
    last = None
    for tag in TAG_START.finditer(text):
        last = tag if tag.end() < len(text) else last
    return last
