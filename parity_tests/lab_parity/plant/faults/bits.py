"""Every element of every gradient is a rounding error larger, smaller or the same, at every step.

That is what another kernel, or another order of summation, does: an element is as wrong as the sum that it comes from,
which is taken to be of the size of its tensor's typical element. The variants `bits:1`, `bits:2`, … each move other
ones: reruns with them show how far such noise alone carries a training (see lab_parity.noise).
"""

from __future__ import annotations

from typing import Any

import torch

ONCE = False
CAUSES = ("rounding",)


def before_update(groups: list[dict[str, Any]]) -> bool:
    """As variant 0, with the same bits at every step."""
    return Variant(0).before_update(groups)


class Variant:
    """Moves bits that follow from a number; draws from no global generator."""

    ONCE = False

    def __init__(self, number: int) -> None:
        self._draw = torch.Generator().manual_seed(number)

    def before_update(self, groups: list[dict[str, Any]]) -> bool:
        """Move them; whether there were any that can be moved."""
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        with torch.no_grad():
            for gradient in gradients:
                if gradient.is_floating_point() and gradient.layout == torch.strided:
                    way = torch.randint(-1, 2, gradient.shape, generator=self._draw).to(gradient)
                    size = gradient.square().mean().sqrt() * torch.finfo(gradient.dtype).eps
                    gradient.add_(torch.where(gradient == 0, 0.0, way) * size)
        return any(bool(gradient.any()) for gradient in gradients)
