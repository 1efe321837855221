"""When reruns part: a rounding error flips a ReLU or a maximum, and from that step on a run is elsewhere.

Until then noise stays small and reruns are alike; behind it each is another training, at a step that chance chooses.
So a run is held against the envelope only for as long as no rerun has parted. A migrated run that parts earlier than
every rerun may have done so by chance. With a constant chance a step, the first of n reruns parts n times as early as
one run does; that a further run parts before c times that step has the probability c / (n + c), which is alpha for
c = n · alpha / (1 - alpha). Before that it is no chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["first_parted", "no_chance_before", "parted_at"]

_FAR = 1.0
"""log10 of how many times further than usual something is that has parted."""
_SHARE = 0.25
"""What part of all rows that must be for the run to have parted; a fault in one tensor is none."""
Floats = npt.NDArray[np.float64]


def first_parted(runs: Sequence[Floats], reruns: Sequence[Floats]) -> int:
    """The first bin in which one of `runs` has parted from what `reruns` usually are; the number of bins for none.

    Both are log10 distances (rows, bins) from the legacy run.
    """
    usual = _middle(np.stack(reruns))
    places = np.nonzero(np.any([parted_at(run, usual) for run in runs], axis=0))[0]
    return int(places[0]) if places.size else usual.shape[1]


def parted_at(run: Floats, usual: Floats) -> npt.NDArray[np.bool_]:
    """(bins,) where a run has parted from what is usual; both log10 distances (rows, bins)."""
    known = ~np.isnan(run - usual)
    far = np.nan_to_num(run - usual) > _FAR
    found: npt.NDArray[np.bool_] = (known.any(axis=0)) & (far.sum(axis=0) >= _SHARE * known.sum(axis=0))
    return found


def no_chance_before(steps: float, reruns: int, alpha: float) -> float:
    """A run that parts before this step does not do so by chance, where the first rerun parts at `steps`."""
    return steps * reruns * alpha / (1 - alpha)


def _middle(table: Floats) -> Floats:
    """(runs, rows, bins) -> the median over runs, NaN where nothing was compared."""
    found: Floats = np.sort(table, axis=0)[(len(table) - 1) // 2]
    return found
