"""Answers for tests, from points and what became of them."""

from molmo_point.results import Found


def paired(points, targets=(), unreachable=()):
    """Give every point the reason at its pixel, else the next target, else neither."""
    reasons, rest, found = {(lost.u, lost.v): lost for lost in unreachable}, list(targets), []
    for point in points:
        lost = reasons.get((point.u, point.v))
        found.append(Found(point, None, lost) if lost else Found(point, rest.pop(0) if rest else None))
    return tuple(found)
