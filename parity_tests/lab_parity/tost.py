"""TOST: two one-sided t tests of equivalence (Schuirmann 1987), with the power that they have."""

from __future__ import annotations

import itertools

import attrs
import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = ["MOST_SEEDS", "Comparison", "compare_samples", "seeds_needed", "spread_of"]

MOST_SEEDS = 1000
_WANTED_POWER = 0.8
Floats = npt.NDArray[np.float64]


@attrs.frozen(slots=True)
class Comparison:
    """One number of both sides: difference of means (second - first) with its 1 - 2 alpha interval, and the margin.

    `p` is TOST's; `power` the probability of passing if nothing differed; `beyond` says that the difference is larger
    than the margin beyond doubt.
    """

    difference: float
    low: float
    high: float
    margin: float
    p: float
    power: float
    beyond: bool


def compare_samples(
    a: Floats, b: Floats, margin: float, *, alpha: float = 0.05, of: int = 1, paired: bool = False
) -> Comparison:
    """TOST on two samples (seeds,); `of` tests are made together, which only `beyond` has to be corrected for.

    Raises ValueError for fewer than two values a side, or a margin that is not above zero.
    """
    if min(len(a), len(b)) < 2 or not margin > 0:
        raise ValueError(f"{len(a)} and {len(b)} values, margin {margin}: expected at least 2 a side and a margin > 0")
    difference = float(np.mean(b) - np.mean(a))
    error, freedom = _error(a, b, paired)
    if error == 0.0:
        same = abs(difference) < margin
        return Comparison(difference, difference, difference, margin, 0.0 if same else 1.0, 1.0, not same)
    lower = float(special.stdtr(freedom, -(difference + margin) / error))
    upper = float(special.stdtr(freedom, (difference - margin) / error))
    half = float(special.stdtrit(freedom, 1 - alpha)) * error
    sure = float(special.stdtrit(freedom, 1 - alpha / (2 * of))) * error
    power = _power(margin / error, freedom, alpha)
    return Comparison(
        difference,
        difference - half,
        difference + half,
        margin,
        max(lower, upper),
        power,
        abs(difference) - sure > margin,
    )


def seeds_needed(spread: float, margin: float, *, alpha: float = 0.05, of: int = 1, paired: bool = False) -> int | None:
    """Seeds a side for a power of 0.8 with standard deviation `spread` a side (of the differences where paired).

    None where 1,000 do not suffice. `of` such tests must pass together.
    """
    for count in itertools.chain(range(2, 100), range(100, MOST_SEEDS + 1, 10)):
        error = spread * np.sqrt((1 if paired else 2) / count)
        freedom = count - 1 if paired else 2 * count - 2
        if error == 0 or 1 - of * (1 - _power(margin / error, freedom, alpha)) >= _WANTED_POWER:
            return count
    return None


def _error(a: Floats, b: Floats, paired: bool) -> tuple[float, float]:
    """Standard error of the difference of means, and its degrees of freedom."""
    if paired:
        return float(np.std(b - a, ddof=1) / np.sqrt(len(a))), len(a) - 1
    parts = np.array([np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b)])
    if parts.sum() == 0:
        return 0.0, len(a) + len(b) - 2
    return float(np.sqrt(parts.sum())), float(parts.sum() ** 2 / (parts**2 / [len(a) - 1, len(b) - 1]).sum())


def spread_of(a: Floats, b: Floats, paired: bool) -> float:
    """The standard deviation of one side's values, pooled; of their differences where paired."""
    if paired:
        return float(np.std(b - a, ddof=1))
    return float(np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2))


def _power(margin_in_errors: float, freedom: float, alpha: float) -> float:
    """Of TOST without any difference (Phillips 1990, central t)."""
    room = margin_in_errors - float(special.stdtrit(freedom, 1 - alpha))
    return max(0.0, 2 * float(special.stdtr(freedom, room)) - 1)
