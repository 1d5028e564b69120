"""Commands that wait for an arm, and the stop that passes all of them."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from molmo_point.arm.arm import ArmDriver
from molmo_point.arm.stop_latch import Permit
from molmo_point.commands.grammar import parse_command
from molmo_point.commands.steps import Command
from molmo_point.errors import InputError

MAX_WAITING = 20


@dataclass(frozen=True)
class AcceptedCommand:
    """A command that was understood, with its permission to move."""

    command: Command
    permit: Permit


class CommandQueue:
    """Commands in the order in which they came; every method may be called from any thread, and returns at once.

    A stop never waits: it latches the arm from the caller's thread, and empties the queue.

    Args:
        arm: The arm that the commands move.
        say: Called with lines for people.
        on_stopped: Called with True after a stop, and with False when the arm may move again.

    Attributes:
        dropped: Number of commands that were dropped or could not be read.
    """

    def __init__(self, arm: ArmDriver, say: Callable[[str], None], on_stopped: Callable[[bool], None]) -> None:
        self._arm, self._say, self._on_stopped = arm, say, on_stopped
        self._lock = threading.RLock()
        self._waiting: deque[AcceptedCommand] = deque()
        self._stops = self.dropped = 0

    @property
    def stops(self) -> int:
        """Number of stops so far; `take` compares it."""
        return self._stops

    def take(self, text: str, stops: int | None = None) -> bool:
        """Read a command: a stop acts now, another command waits for its turn.

        Args:
            text: The command in words.
            stops: `stops` at the time when the words were said, if that was earlier. A command from before a stop is dropped.

        Returns:
            True if the text was understood and not dropped.
        """
        try:
            command = parse_command(text)
        except InputError as error:
            self._say(f"“{text}”: {error}")
            return False
        if command.is_stop:
            self.stop(f"“{text}”")
            return True
        with self._lock:
            if stops is not None and stops != self._stops:
                self._say(f"“{text}” was said before the stop")
                return False
            if len(self._waiting) >= MAX_WAITING:
                self._say(f"“{text}”: {MAX_WAITING} commands wait already")
                return False
            # The permit is of now, so that a stop between now and the command's turn is not forgotten.
            permit = self._arm.resume() if command.moves else self._arm.stop_latch.watch()
            self._waiting.append(AcceptedCommand(command, permit))
            self._on_stopped(self._arm.stopped)
        return True

    def permit(self) -> Permit:
        """Let the arm move again for something that is no command, and return its permit; a stop revokes it."""
        with self._lock:
            permit = self._arm.resume()
            self._on_stopped(False)
            return permit

    def refuse(self, line: str) -> None:
        """Tell people about a command that could not be read."""
        self.dropped += 1
        self._say(line)

    def stop(self, reason: str) -> None:
        """Stop the arm and drop all commands that wait."""
        with self._lock:
            self._stops += 1
            self._arm.stop()
            waiting = len(self._waiting)
            self.dropped += waiting
            self._waiting.clear()
            self._on_stopped(True)
            self._say(f"{reason}: stopped" + (f"; commands dropped: {waiting}" if waiting else ""))

    def resume(self) -> None:
        """Let the arm move again; dropped commands stay dropped."""
        with self._lock:
            self._arm.resume()
            self._on_stopped(False)
            self._say("resumed")

    def next(self) -> AcceptedCommand | None:
        """Take the next command out of the queue; None if no command waits."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None
