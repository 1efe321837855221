"""What went into the model: the tensor arguments of the outermost forward call, however it was loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from lab_parity.keys import Key
from lab_parity.record.fingerprint import Fingerprint
from lab_parity.trace import Row

__all__ = ["argument_rows", "tensors_in"]


def argument_rows(arguments: Any, fingerprint: Fingerprint) -> list[Row]:
    """One row per tensor among the arguments; one that carries a graph is an activation, not a batch.

    Of which micro-step's which call they are, is not known yet.
    """
    return [
        fingerprint(Key("batch" if tensor.grad_fn is None else "forward", -1, f"argument {where}", ""), tensor)
        for where, tensor in tensors_in(arguments)
    ]


def tensors_in(thing: Any, where: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """(path, tensor) in nested tuples, lists, mappings and plain objects, at most five levels deep."""
    if isinstance(thing, Tensor):
        yield where.removeprefix("."), thing
    elif depth < 5:
        if isinstance(thing, Mapping):
            for name, value in thing.items():
                yield from tensors_in(value, f"{where}.{name}", depth + 1)
        elif isinstance(thing, (list, tuple)):
            for number, value in enumerate(thing):
                yield from tensors_in(value, f"{where}.{number}", depth + 1)
        elif hasattr(thing, "__dict__") and not isinstance(thing, type) and not callable(thing):
            yield from tensors_in(vars(thing), where, depth + 1)
