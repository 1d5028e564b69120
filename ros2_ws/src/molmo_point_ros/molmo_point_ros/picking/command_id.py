"""Ids of goals that are steps of one command.

They are UUIDs of version 8 (RFC 9562), of which the first eight bytes name the command. A picking node that is stopped
does no more steps of commands that it knows, in any order of the messages.
"""

from uuid import uuid4

_NAME_BYTES, _VERSION_AT = 8, 6
_VERSION = 0x80


def new_command() -> bytes:
    """Return the name of a new command."""
    name = bytearray(uuid4().bytes[:_NAME_BYTES])
    name[_VERSION_AT] = _VERSION | name[_VERSION_AT] & 0x0F
    return bytes(name)


def step_id(command: bytes) -> bytes:
    """Return an id for a goal that is the next step of a command."""
    return command + uuid4().bytes[_NAME_BYTES:]


def command_of(goal_id: bytes) -> bytes | None:
    """Return the name of the command that a goal is a step of; None for a goal of its own."""
    return goal_id[:_NAME_BYTES] if goal_id[_VERSION_AT] & 0xF0 == _VERSION else None
