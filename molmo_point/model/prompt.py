"""What is said to Molmo: its turn format and the requests that the SDK makes."""


def user_turn(text: str) -> str:
    """One user turn in the format of the released models; the leading space matters."""
    return f" User: {text} Assistant:"


def pointing_prompt(query: str) -> str:
    """Request for the points of ``query``; Molmo was trained on lower-case labels."""
    return f"Point to {query.strip().rstrip('.')}"


def counting_prompt(query: str) -> str:
    """Request to point at every ``query`` and say how many there are."""
    return f"How many {query.strip().rstrip('?').rstrip('.')} are there?"
