"""Confidence intervals of measured shares."""

import math


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of a share (95 % by default).

    Args:
        successes: Number of successes.
        trials: Number of trials.
        z: Normal quantile.

    Returns:
        Lower and upper bound, 0…1; (0, 1) without trials.
    """
    if trials == 0:
        return 0.0, 1.0
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def share(values: list[bool]) -> dict[str, float]:
    """Share of true values with its 95 % interval and the number of trials; NaN without trials."""
    low, high = wilson(sum(values), len(values))
    return {"share": sum(values) / len(values) if values else math.nan, "low": low, "high": high, "trials": len(values)}
