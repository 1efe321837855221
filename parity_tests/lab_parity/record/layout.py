"""How a tensor lies in memory, where that is not the usual way: it chooses kernels, and they the last bits."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["layout_of"]


def layout_of(tensor: Tensor) -> str:
    """ "channels_last", "sparse", "order (1, 0)" from the slowest dimension to the fastest; empty for the usual one."""
    if tensor.layout != torch.strided:
        return "sparse"
    if tensor.is_contiguous():
        return ""
    if tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        return "channels_last"
    strides = tensor.stride()
    order = tuple(sorted(range(tensor.ndim), key=lambda dim: -strides[dim]))
    return f"order {order}" if order != tuple(range(tensor.ndim)) else "with gaps"
