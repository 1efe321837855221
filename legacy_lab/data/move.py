"""Batches of any form onto a device, and into a checkpoint."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor

B = TypeVar("B")


def to_device(batch: B, device: str) -> B:
    """The batch with every tensor on `device`.

    Takes tensors, mappings, lists, tuples and named tuples of batches, and objects that know `to(device)`
    themselves. Raises `TypeError` for anything else that is not a plain number or string.
    """
    moved: Any = _moved(batch, device)
    return moved  # type: ignore[no-any-return]


def _moved(batch: Any, device: str) -> Any:
    if isinstance(batch, Tensor) or hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, dict):
        return {name: _moved(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_moved(part, device) for part in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(_moved(part, device) for part in batch)
    if batch is None or isinstance(batch, bool | int | float | str):
        return batch
    raise TypeError(f"batch: expected tensors or an object with to(device), found {type(batch).__qualname__}")


def plain(batch: Any) -> Any:
    """The batch, if a checkpoint can hold it. Raises `TypeError` for objects, which would be unpickled."""
    if isinstance(batch, Tensor) or batch is None or isinstance(batch, bool | int | float | str):
        return batch
    if isinstance(batch, dict):
        return {name: plain(part) for name, part in batch.items()}
    if type(batch) in (list, tuple):
        return type(batch)(plain(part) for part in batch)
    raise TypeError(
        f"batch: expected tensors in mappings, lists and tuples, found {type(batch).__qualname__}; "
        "give its loader a length, or batches of a plain form, to save in mid-epoch"
    )
