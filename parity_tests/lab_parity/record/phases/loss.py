"""What backward was called on."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lab_parity.record.fingerprint import Fingerprint, value_of
from lab_parity.trace import Key, Row

__all__ = ["loss_rows"]


def loss_rows(micro: int, tensors: Any, fingerprint: Fingerprint) -> list[Row]:
    """The loss, or each of several roots of one backward pass."""
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    return [
        fingerprint(Key("loss", micro, "loss" if len(roots) == 1 else f"loss.{number}", ""), root, value_of(root))
        for number, root in enumerate(roots)
        if isinstance(root, Tensor)
    ]
