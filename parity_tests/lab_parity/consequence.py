"""Which differences in what a program calls around its updates count: clipping, reduction, schedules, evaluations.

A migrated program may come to the same numbers in another way: it clips before it divides by the loss scale, with a
threshold to match, or reduces once where the legacy one reduces twice. So a setting counts where it acted on the same
numbers as on the other side, or where other numbers came of it; else it is noted. An evaluation is no training.
"""

from __future__ import annotations

from collections.abc import Collection

from lab_parity.keys import Key

__all__ = ["CALLED", "counts"]

CALLED = frozenset({"evaluation", "reduce", "clip", "schedule", "metric"})
"""Phases of which one side may have nothing, because its program calls something else to the same end."""


def counts(key: Key, differ: Collection[Key]) -> bool:
    """Whether a difference of `key` is one of the training; `differ` are all that differ in its step."""
    if key.phase == "clip":
        return _clipping(key, differ)
    if key.phase == "reduce":
        return any(other.phase in ("grad", "buffer") for other in differ)
    if key.phase == "metric":
        return any(other.phase == "schedule" and other.name == key.name for other in differ)
    return key.phase != "evaluation"


def _clipping(key: Key, differ: Collection[Key]) -> bool:
    """A threshold counts where it met the same norm; what a norm is of, where the norm is another one."""
    gradients = any(other.phase == "grad" for other in differ)
    other_norm = key._replace(field="total_norm") in differ
    if key.field in ("left_out", "outside", "norm_type"):
        return other_norm or (key.name.startswith("clip_grad_value_") and gradients)
    return gradients if key.field == "total_norm" else not other_norm
