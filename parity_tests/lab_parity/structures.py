"""Differences of nested structures that hold tensors: deepdiff, taught to compare tensors by their bits."""

from __future__ import annotations

import struct
from typing import Any

from deepdiff import DeepDiff
from deepdiff.operator import BaseOperatorPlus
from torch import Tensor

from lab_parity.digest import digest_tensor

__all__ = ["difference"]

_LINES = 12


class _TensorOperator(BaseOperatorPlus):
    """Without it deepdiff fails on a 0-d tensor and takes seconds on a large one."""

    def match(self, level: Any) -> bool:
        """Both sides are tensors."""
        return isinstance(level.t1, Tensor) and isinstance(level.t2, Tensor)

    def give_up_diffing(self, level: Any, diff_instance: Any) -> bool:
        """Equal bits are equal; everything else is reported by dtype, shape and largest distance."""
        if digest_tensor(level.t1) != digest_tensor(level.t2):
            diff_instance.custom_report_result("tensors differ", level, _describe(level.t1, level.t2))
        return True

    def normalize_value_for_hashing(self, parent: Any, obj: Any) -> Any:
        """A tensor inside a set or an unordered list is known by its digest."""
        return digest_tensor(obj).hex() if isinstance(obj, Tensor) else obj


class _FloatOperator(BaseOperatorPlus):
    """Without it no NaN equals another one, and -0.0 equals 0.0."""

    def match(self, level: Any) -> bool:
        """Both sides are floating-point numbers."""
        return isinstance(level.t1, float) and isinstance(level.t2, float)

    def give_up_diffing(self, level: Any, diff_instance: Any) -> bool:
        """Equal bits are equal."""
        if struct.pack("d", level.t1) != struct.pack("d", level.t2):
            diff_instance.custom_report_result("values changed", level, f"{level.t1!r} against {level.t2!r}")
        return True

    def normalize_value_for_hashing(self, parent: Any, obj: Any) -> Any:
        """A number inside a set or an unordered list is itself."""
        return obj


def difference(a: Any, b: Any, lines: int = _LINES) -> str:
    """What differs between two nested structures, one line each, at most `lines`; empty when nothing does."""
    found = DeepDiff(a, b, custom_operators=[_TensorOperator(), _FloatOperator()], verbose_level=2)
    said = []
    for kind, items in found.items():
        entries = items.items() if isinstance(items, dict) else ((item, "") for item in items)
        for path, change in entries:
            if isinstance(change, dict) and "new_value" in change:
                change = f"{change['old_value']} against {change['new_value']}"
            said.append(f"{str(path).removeprefix('root')} {kind.replace('_', ' ')}: {change}")
    if len(said) > lines:
        said[lines - 1 :] = [f"… and {len(said) - lines + 1} more"]
    return "\n".join(line if len(line) <= 200 else line[:199] + "…" for line in said)


def _describe(a: Tensor, b: Tensor) -> str:
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype} {tuple(a.shape)} against {b.dtype} {tuple(b.shape)}"
    if a.layout != b.layout or a.numel() == 0 or a.is_complex():
        return "the bits differ"
    mine, other = a.detach().cpu().double(), b.detach().cpu().double()
    return f"{int((mine != other).sum())} of {a.numel()} elements, by up to {float((mine - other).abs().max()):.3g}"
