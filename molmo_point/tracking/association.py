"""Which point of an answer belongs to which track."""

import numpy as np

from molmo_point.arrays import FloatArray

GATE = 13.8
"""Squared Mahalanobis distance that 1 of 1000 right pairs exceeds, in two dimensions."""


def associate(
    tracks: FloatArray, track_px2: FloatArray, points: FloatArray, point_px2: FloatArray, gate: float = GATE
) -> list[tuple[int, int]]:
    """Pair tracks with points so that the sum of squared Mahalanobis distances is least.

    Args:
        tracks: (n, 2) pixels.
        track_px2: (n, 2, 2) their covariances.
        points: (m, 2) pixels.
        point_px2: (m, 2, 2) their covariances.
        gate: Pairs beyond this squared distance are never made.

    Returns:
        Pairs (index of the track, index of the point), by track.
    """
    if not len(tracks) or not len(points):
        return []
    apart = tracks[:, None] - points[None]
    spread = track_px2[:, None] + point_px2[None]
    distance = np.einsum("nmi,nmij,nmj->nm", apart, np.linalg.inv(spread), apart)
    # A pair beyond the gate costs as much as leaving both alone, so that it never pushes out a good one.
    cost = np.minimum(distance, gate)
    pairs = assign(cost) if len(tracks) <= len(points) else [(n, m) for m, n in assign(cost.T)]
    return sorted((n, m) for n, m in pairs if distance[n, m] < gate)


def assign(cost: FloatArray) -> list[tuple[int, int]]:
    """The Hungarian method: a column for every row at the least total cost (rows <= columns).

    Rows are added one by one; each follows the cheapest path of changed pairs, found as in Dijkstra's method over
    costs that the prices of rows and columns keep from being negative.
    """
    rows, columns = cost.shape
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.zeros(columns + 1, int)
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        least, came_from = np.full(columns + 1, np.inf), np.zeros(columns + 1, int)
        done = np.zeros(columns + 1, bool)
        while owner[column] != 0:
            done[column] = True
            reduced = np.concatenate([[np.inf], cost[owner[column] - 1] - row_price[owner[column]] - column_price[1:]])
            better = ~done & (reduced < least)
            least[better], came_from[better] = reduced[better], column
            following = int(np.argmin(np.where(done, np.inf, least)))
            delta = least[following]
            row_price[owner[done]] += delta
            column_price[done] -= delta
            least[~done] -= delta
            column = following
        while column != 0:
            before = came_from[column]
            owner[column] = owner[before]
            column = before
    return sorted((int(owner[column]) - 1, column - 1) for column in range(1, columns + 1) if owner[column])
