"""Every module's output, every running statistic and every gradient is rounded another way.

That is what another kernel, or another order of summation, does: an element is as wrong as the sum that it comes from,
which is taken to be of the size of its tensor's typical element. It is moved by eight rounding errors, which the sums
of few kernels exceed, or stays. Kernels sum in float32 at least: of a narrower type few elements are rounded another
way. The variants `bits:1`, `bits:2`, … move other elements each: reruns with them show how far such noise alone carries
a training (see lab_parity.noise).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

ONCE = False
CAUSES = ("rounding",)
_SIZE = 8
_FINEST = torch.finfo(torch.float32).eps


def after_backward(leaves: Sequence[Tensor]) -> bool:
    """As variant 0, with the same bits at every step; gradients alone."""
    return Variant(0).after_backward(leaves)


class Variant:
    """Moves bits that follow from a number; draws from no global generator."""

    ONCE = False

    def __init__(self, number: int) -> None:
        self._draw = torch.Generator().manual_seed(number)
        self._versions: dict[int, int] = {}

    def change_output(self, module: nn.Module, output: Any) -> Any:
        """The output of a module without children, its numbers moved where they will be differentiated.

        So are those of its buffers that have changed since its last call.
        """
        for buffer in module._buffers.values():
            if buffer is not None and buffer.is_floating_point():
                if self._versions.get(id(buffer), buffer._version) != buffer._version:
                    buffer.data.add_(self._noise(buffer))  # autograd may have kept it, and is not to notice
                self._versions[id(buffer)] = buffer._version
        return self._moved(output)

    def _moved(self, output: Any) -> Any:
        if isinstance(output, Tensor):
            movable = output.grad_fn is not None and output.is_floating_point() and output.layout == torch.strided
            return output + self._noise(output) if movable and type(output) is Tensor else output
        if type(output) in (tuple, list):
            return type(output)(self._moved(part) for part in output)
        return output

    def after_backward(self, leaves: Sequence[Tensor]) -> bool:
        """Move those of the leaves' gradients; whether there were any that can be moved."""
        gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
        with torch.no_grad():
            for gradient in gradients:
                if gradient.is_floating_point() and gradient.layout == torch.strided:
                    gradient.add_(self._noise(gradient))
        return any(bool(gradient.any()) for gradient in gradients)

    @torch.no_grad()
    def _noise(self, tensor: Tensor) -> Tensor:
        """What is added to the tensor; nothing where it is exactly zero."""
        way = torch.randint(-1, 2, tensor.shape, generator=self._draw).to(tensor)
        eps = torch.finfo(tensor.dtype).eps
        chance = min(_SIZE * _FINEST / eps, 1.0)
        if chance < 1:
            way *= (torch.rand(tensor.shape, generator=self._draw) < chance).to(tensor)
        else:
            eps *= _SIZE
        wide = tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
        typical = wide.square().mean().sqrt()
        return torch.where(tensor == 0, 0.0, way) * (typical * eps).to(tensor.dtype)
