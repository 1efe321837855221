"""Whether two checkpoint files hold the same, whatever their bytes are."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from lab_parity.digest import digest_tensor

__all__ = ["how_alike"]


def how_alike(one: Path, other: Path) -> str:
    """What two files that differ in their bytes have in common; an empty text where they hold different things.

    Names, plain values and tensors, bit by bit, read without running code. torch writes the file's name into the file;
    what Fabric or another library saves may be of another type, and without the versions that torch gives a state.
    """
    try:
        a, b = (torch.load(path, map_location="cpu", weights_only=True) for path in (one, other))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        return ""
    kinds: dict[str, None] = {}
    if not _equal(a, b, kinds):
        return ""
    return f"as checkpoints the same but for {', '.join(kinds)}" if kinds else "as checkpoints the same"


def _equal(a: Any, b: Any, kinds: dict[str, None]) -> bool:
    """Whether both hold the same; `kinds` gets what they differ in otherwise."""
    if isinstance(a, torch.Tensor):
        same = isinstance(b, torch.Tensor) and (a.dtype, a.shape) == (b.dtype, b.shape)
        return same and digest_tensor(a) == digest_tensor(b)
    if isinstance(a, dict):
        if not isinstance(b, dict) or list(a) != list(b):
            return False
        if type(a) is not type(b):
            kinds[f"their type ({type(a).__name__} against {type(b).__name__})"] = None
        if getattr(a, "_metadata", None) != getattr(b, "_metadata", None):
            kinds["the versions of their modules (_metadata)"] = None
        return all(_equal(a[key], b[key], kinds) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(_equal(x, y, kinds) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)
