"""Reduction over ranks: by DistributedDataParallel, or by the program's own calls of `torch.distributed.all_reduce`.

Of the first one its settings are seen, for each backward pass: its buckets are reduced inside torch. Of the second one
each gradient before it was reduced, where it is reduced in place: a flat copy of several gradients has no name.
A tensor that is gone by the update, an activation, is none of the gradients that lie where it lay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from lab_parity.digest import digest_bytes
from lab_parity.record.fingerprint import digest_of
from lab_parity.record.notes import Notes
from lab_parity.record.numbers import number_row
from lab_parity.trace import Key, Row

__all__ = ["Facts", "Reductions", "wrapper_facts", "wrapper_rows"]

_MAX_WAITING = 100_000
Facts = tuple[tuple[str, float], ...]
"""What a wrapper is told to do: names and numbers."""


@attrs.frozen(slots=True, eq=False)
class _Call:
    """One reduction: where the tensor lies, how long it is, whose memory, what it held, and how it was reduced."""

    place: int
    size: int
    storage: StorageWeakRef
    digest: bytes
    operation: str
    ranks: int


class Reductions:
    """Collects calls of `all_reduce` until an update; `active` says whether one may come."""

    def __init__(self, notes: Notes, active: Callable[[], bool]) -> None:
        self._notes = notes
        self._active = active
        self._calls: list[_Call] = []

    def watch(self) -> list[Callable[[], None]]:
        """Put the hook in place; returns what takes it away."""
        if not dist.is_available():
            return []
        original = dist.all_reduce

        @functools.wraps(original)
        def all_reduce(tensor: Tensor, op: Any = dist.ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Any:
            if not torch.compiler.is_compiling() and self._active():
                self._notes.guard(self._book, tensor, op, group)
            return original(tensor, op, group, async_op)

        places = [module for module in (dist, dist.distributed_c10d) if module.all_reduce is original]
        for module in places:
            setattr(module, "all_reduce", all_reduce)  # noqa: B010

        def stop() -> None:
            for module in places:
                setattr(module, "all_reduce", original)  # noqa: B010

        return [stop]

    def take(self, parameters: Sequence[tuple[str, Tensor]]) -> list[Row]:
        """Rows of the parameters whose gradients were reduced in place, and how they were."""
        if not self._calls:
            return []
        kept = [call for call in self._calls if not call.storage.expired()]  # type: ignore[no-untyped-call]
        calls, self._calls = {(call.place, call.size): call for call in kept}, []
        rows: list[Row] = []
        ways: dict[tuple[str, int], None] = {}
        for name, parameter in parameters:
            gradient = parameter.grad
            plain = gradient is not None and type(gradient) is Tensor and gradient.layout == torch.strided
            call = calls.get(_place(gradient)) if gradient is not None and plain else None
            if call is not None:
                ways[call.operation, call.ranks] = None
                rows.append(Row(Key("reduce", -1, name, "local"), call.digest))
        for number, (operation, ranks) in enumerate(ways):
            name = f"all_reduce {number}" if number else "all_reduce"
            rows.append(Row(Key("reduce", -1, name, "operation"), digest_bytes(operation.encode())))
            rows.append(number_row(Key("reduce", -1, name, "ranks"), ranks))
        return rows

    def waiting(self) -> list[Any]:
        """The calls that no update has taken."""
        return list(self._calls)

    def give_back(self, calls: list[Any]) -> None:
        """The calls that waited before some of them were taken: another update is to take them, with later ones."""
        later = [call for call in self._calls if not any(call is known for known in calls)]
        self._calls = [*calls, *later]

    def forget(self) -> None:
        """An update was not recorded."""
        self._calls.clear()

    def _book(self, tensor: Tensor, op: Any, group: Any) -> None:
        if type(tensor) is Tensor and tensor.is_floating_point() and len(self._calls) < _MAX_WAITING:
            kind = str(op).rpartition(".")[2]
            storage = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
            self._calls.append(_Call(*_place(tensor), storage, digest_of(tensor), kind, dist.get_world_size(group)))


def wrapper_facts(module: nn.Module) -> Facts | None:
    """What a DistributedDataParallel is told to do in the forward call that begins; None for any other module."""
    if type(module).__name__ != "DistributedDataParallel":
        return None
    found = {
        "synchronized": getattr(module, "require_backward_grad_sync", None),
        "broadcast_buffers": getattr(module, "broadcast_buffers", None),
        "bucket_bytes": getattr(module, "bucket_bytes_cap", None),
        "hooks": len(getattr(module, "_comm_hooks", ())),
    }
    return tuple((name, float(value)) for name, value in found.items() if isinstance(value, (bool, int, float)))


def wrapper_rows(micro: int, facts: Facts) -> list[Row]:
    """The rows of a backward pass through a wrapper."""
    return [number_row(Key("reduce", micro, "DistributedDataParallel", field), value) for field, value in facts]


def _place(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor.numel()
