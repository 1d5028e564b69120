"""Times of messages in nanoseconds, and back."""

from builtin_interfaces.msg import Time


def stamp_to_ns(stamp: Time) -> int:
    """Return a message's time in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def stamp_from_ns(stamp_ns: int) -> Time:
    """Return the message's time of nanoseconds, which must not be negative."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)
