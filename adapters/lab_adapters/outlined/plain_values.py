"""Values that are kept as they are: numbers, texts, tensors of one number; lists, tuples and dictionaries of them."""

from __future__ import annotations

from typing import Any

import torch

from lab_adapters.outlined.forms import PLAIN

__all__ = ["changed_names", "is_plain", "is_same"]

#: A longer list holds data.
_LARGEST = 10_000


def is_plain(value: Any) -> bool:
    """Whether a value is one of these; longer containers are data."""
    if type(value) in PLAIN:
        return True
    if type(value) is torch.Tensor:
        return value.numel() == 1 and value.is_leaf
    if type(value) in (list, tuple):
        return len(value) <= _LARGEST and all(is_plain(one) for one in value)
    if type(value) is dict:
        return len(value) <= _LARGEST and all(type(key) in PLAIN and is_plain(one) for key, one in value.items())
    return False


def is_same(a: Any, b: Any) -> bool:
    """Whether two of them are the same, by kind and value; of numbers NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(is_same(one, other) for one, other in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(is_same(one, b[key]) for key, one in a.items())
    return bool(a == b) or (a != a and b != b)


def changed_names(first: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of what there is now, what was other at the first item."""
    return [
        {name: value for name, value in one.items() if name not in before or not is_same(before[name], value)}
        for before, one in zip(first, now, strict=False)
    ]
