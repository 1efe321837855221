"""The samples of a batch come in the reverse order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ONCE = True
CAUSES = ("order", "batches")


def change_batch(args: tuple[Any, ...], previous: tuple[Any, ...] | None) -> tuple[Any, ...] | bool:
    """The arguments with every tensor of the batch's length reversed; False where that changes nothing."""
    lengths = [arg.shape[0] for arg in args if isinstance(arg, Tensor) and arg.ndim]
    if not lengths:
        return False
    turned = tuple(
        arg.flip(0) if isinstance(arg, Tensor) and arg.ndim and arg.shape[0] == lengths[0] else arg for arg in args
    )
    same = all(not isinstance(arg, Tensor) or torch.equal(arg, new) for arg, new in zip(args, turned, strict=True))
    return False if same else turned
