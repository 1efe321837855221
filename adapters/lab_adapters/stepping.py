"""The step that most legacy trainers take: losses until the optimizer has updated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lab_adapters.protocols import Metrics

__all__ = ["until_updated"]


def until_updated(owner: Any) -> Metrics:
    """Batches and losses until the optimizer says that it updated; metrics of the last.

    An optimizer that has `end_epoch` is told when the loader's epoch is over: it may update with what it has.
    Raises `TypeError` where an objective or an optimizer says something else than its role does.
    """
    while True:
        loss, metrics = _loss_and_metrics(owner.compute(owner.next_batch()))
        updated = owner.optimizer.step(loss)
        if not (isinstance(updated, bool) or _is_truth(updated)):
            raise TypeError(
                f"optimizer.step: expected True or False, whether parameters changed, found {_kind(updated)}; "
                "return it from step, or from the small class around the optimizer"
            )
        if owner.loader.epoch_ended and hasattr(owner.optimizer, "end_epoch"):
            updated = owner.optimizer.end_epoch() or updated
        if updated:
            found: Metrics = metrics
            return found


def _loss_and_metrics(found: Any) -> tuple[Tensor, Metrics]:
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], Mapping)):
        said = f"({', '.join(map(_kind, found))})" if isinstance(found, tuple) else _kind(found)
        raise TypeError(
            f"objective: expected a loss and metrics by name, found {said}; "
            'return e.g. `loss, {"loss": loss.detach()}`'
        )
    return found


def _is_truth(value: Any) -> bool:
    """numpy's and torch's truth values; not a loss, which is false where it is 0."""
    return str(getattr(value, "dtype", "")).rpartition(".")[2] == "bool" and getattr(value, "ndim", 1) == 0


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__qualname__
