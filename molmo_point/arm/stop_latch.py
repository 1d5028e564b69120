"""The latch that a stop closes, and the permits that it revokes."""

import threading


class StopLatch:
    """Remembers that somebody said stop, until somebody resumes. All of it may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops = 0
        self._stopped = False

    def stop(self) -> None:
        """Revoke all permits given so far, and allow no motion until `resume`."""
        with self._lock:
            self._stops += 1
            self._stopped = True

    def resume(self) -> "Permit":
        """Allow motion again, and return the permit of a new command; permits revoked before stay revoked."""
        with self._lock:
            self._stopped = False
            return Permit(self, self._stops)

    def watch(self) -> "Permit":
        """Return a permit that the next stop revokes, and leave the latch as it is."""
        with self._lock:
            return Permit(self, self._stops)

    @property
    def stopped(self) -> bool:
        """True after `stop`, until `resume`."""
        return self._stopped

    def stops(self) -> int:
        """Number of stops so far."""
        return self._stops


class Permit:
    """Permission of one command to move.

    Args:
        latch: The latch that revokes it.
        stops: Number of stops before it was given.
    """

    def __init__(self, latch: StopLatch, stops: int) -> None:
        self._latch, self._stops = latch, stops

    @property
    def revoked(self) -> bool:
        """True for ever once a stop came after the permit was given, even if a later command has resumed."""
        return self._latch.stops() != self._stops
