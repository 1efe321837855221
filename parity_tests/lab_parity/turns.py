"""Several optimizers that begin in another order: their numbers, which say who stepped first, are then of no use."""

from __future__ import annotations

import itertools
from collections import Counter

from lab_parity.trace import Step, Trace

__all__ = ["other_order"]

_FIRST = 64
"""Steps in which an optimizer that takes turns with others makes its first one."""


def other_order(a: Trace, b: Trace) -> str:
    """Why two runs cannot be compared, where both train the same parameters by optimizers that begin in another order.

    They are told by their initial weights; empty where the order is the same, or other weights are trained.
    """
    begun = [_initial(trace) for trace in (a, b)]
    if begun[0] == begun[1] or sorted(begun[0].values()) != sorted(begun[1].values()):
        return ""
    partners = {weights: label for label, weights in begun[1].items()}
    first, second = begun[0], [partners[weights] for weights in begun[0].values()]
    return (
        f"the optimizers begin in another order: {', '.join(first)} of the first run have the initial weights of "
        f"{', '.join(second)} of the second; step them in one order on both sides to compare them"
    )


def _initial(trace: Trace) -> dict[str, tuple[bytes, ...]]:
    """The initial weights of each optimizer, in whatever order; those by which several are alike tell nothing."""
    found: dict[str, tuple[bytes, ...]] = {}
    for step in itertools.islice(trace.steps(), _FIRST):
        if isinstance(step, Step) and step.optimizer not in found:
            rows = zip(step.keys, step.digests, strict=True)
            found[step.optimizer] = tuple(sorted(digest.tobytes() for key, digest in rows if key.phase == "config"))
    counts = Counter(found.values())
    return {label: weights for label, weights in found.items() if counts[weights] == 1}
