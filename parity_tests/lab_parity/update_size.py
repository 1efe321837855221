"""How large a run's updates are: sketches are linear, so that the difference of two is the sketch of the update."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lab_parity.sketch import distance, size
from lab_parity.trace import Step, Trace

__all__ = ["UpdateSize", "update_size"]


class UpdateSize(NamedTuple):
    """Mean natural logarithms over a run's updates: of their norm, and of their norm divided by the gradients'."""

    norm: float
    by_gradient: float


def update_size(trace: Trace) -> UpdateSize | None:
    """The size of a run's updates; None where it was not recorded with statistics at every step, or made none."""
    if not trace.scope.buckets or trace.scope.every > 1:
        return None
    before: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
    norms, ratios = [], []
    for item in trace.steps():
        if not isinstance(item, Step) or item.summaries is None:
            continue
        moved = gradients = 0.0
        for key, summary in zip(item.keys, item.summaries, strict=True):
            place = item.optimizer, key.name
            if key.phase == "config":
                before[place] = summary
            elif key.phase == "param":
                if place in before:
                    moved += float(np.nan_to_num(distance(summary, before[place])) ** 2)
                before[place] = summary
            elif key.phase == "grad":
                gradients += float(np.nan_to_num(size(summary)) ** 2)
        if moved > 0:
            norms.append(0.5 * np.log(moved))
            ratios += [norms[-1] - 0.5 * np.log(gradients)] if gradients > 0 else []
    return UpdateSize(float(np.mean(norms)), float(np.mean(ratios))) if norms and ratios else None
