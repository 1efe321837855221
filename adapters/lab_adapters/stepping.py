"""The step that most legacy trainers take: losses until the optimizer has updated."""

from __future__ import annotations

from typing import Any

from lab_adapters.protocols import Metrics

__all__ = ["until_updated"]


def until_updated(owner: Any) -> Metrics:
    """Batches and losses until the optimizer says that it updated; metrics of the last.

    An optimizer that has `end_epoch` is told when the loader's epoch is over: it may update with what it has.
    """
    while True:
        loss, metrics = owner.compute(owner.next_batch())
        updated = owner.optimizer.step(loss)
        if owner.loader.epoch_ended and hasattr(owner.optimizer, "end_epoch"):
            updated = owner.optimizer.end_epoch() or updated
        if updated:
            found: Metrics = metrics
            return found
