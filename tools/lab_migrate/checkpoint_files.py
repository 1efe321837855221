"""Whether two checkpoint files hold the same, whatever their bytes are."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from lab_parity.digest import digest_tensor

__all__ = ["hold_the_same"]


def hold_the_same(one: Path, other: Path) -> bool:
    """Names, plain values and tensors, bit by bit, read without running code; False for what cannot be read so.

    torch writes the file's name into the file, and Fabric saves an ordered dictionary as a plain one.
    """
    try:
        a, b = (torch.load(path, map_location="cpu", weights_only=True) for path in (one, other))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        return False
    return _equal(a, b)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        same = isinstance(b, torch.Tensor) and (a.dtype, a.shape) == (b.dtype, b.shape)
        return same and digest_tensor(a) == digest_tensor(b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(_equal, a, b))
    return type(a) is type(b) and bool(a == b)
