"""A window that an epoch cuts short: Lightning updates with it as `step` does, or, in one long epoch, `carry`."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_leftover_over_its_count, test_leftover_dropped"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.leftover == "carry" or semantics.every == 1 or semantics.native:
        return None  # a native training takes its steps by hand then
    if semantics.leftover == "step" and semantics.passes:
        return None
    if semantics.batches_per_epoch is not None and semantics.batches_per_epoch % semantics.every == 0:
        return None
    return (
        f"Accumulation.leftover is {semantics.leftover!r} and an epoch of {semantics.batches_per_epoch or 'unknown'} "
        f"batches is no multiple of {semantics.every}"
    )
