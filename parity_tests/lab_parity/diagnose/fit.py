"""Least squares in units of rounding errors: how much of a difference an explanation explains.

Every element is divided by the rounding error that it may carry, so that "what is left" means the same for a weight
of a thousand and one of a thousandth, and an explanation that holds leaves about one unit, whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

__all__ = ["Fit", "flat", "gradient_noise", "is_multiple", "least_squares", "measure", "rounding"]

_PER_TENSOR = 1 << 16
"""Elements of one tensor that take part; more tell nothing more."""
_LEFT = 3.0
_SHARE = 0.02


@attrs.frozen(slots=True)
class Fit:
    """What an explanation explains. `before` and `after`: root mean square difference in rounding errors per element
    without and with it; `worst` is `after` of the tensor that it explains worst, `worst_before` that one's `before`.
    `coefficients` are the numbers that were fitted.
    """

    before: float
    after: float
    worst: float
    worst_before: float
    elements: int
    coefficients: tuple[float, ...] = ()

    @property
    def share(self) -> float:
        """The part of the difference that is left."""
        return self.after / self.before if self.before else 0.0

    @property
    def exact(self) -> bool:
        """What is left is rounding."""
        return self.after <= _LEFT and self.worst <= 2 * _LEFT

    @property
    def holds(self) -> bool:
        """It explains the difference: rounding is left of something larger, or next to nothing, in every tensor."""
        if not math.isfinite(self.after) or self.before == 0 or self.share > 0.34:
            return False
        if self.elements <= len(self.coefficients):
            return False  # as many numbers explain anything
        small = self.worst <= 2 * _LEFT or self.worst <= 5 * _SHARE * self.worst_before
        return small and (self.after <= _LEFT or self.share <= _SHARE)

    def sentence(self) -> str:
        """For a person."""
        return (
            f"explains {1 - self.share:.2%} of the difference of {self.elements} elements; what is left is "
            f"{self.after:.2g} rounding errors an element, without it {self.before:.3g}"
        )


def flat(tensor: Tensor) -> Tensor:
    """(n,) float64: all elements, or evenly spaced ones of a large tensor."""
    line = tensor.reshape(-1)
    if line.numel() > _PER_TENSOR:
        line = line[:: -(-line.numel() // _PER_TENSOR)]
    return line.double()


def rounding(*tensors: Tensor) -> Tensor:
    """(n,) float64: the rounding errors (half a unit in the last place) that the elements may carry, added up."""
    total = torch.zeros(())
    for tensor in tensors:
        info = torch.finfo(tensor.dtype if tensor.is_floating_point() else torch.float64)
        size = flat(tensor).abs().clamp_min(info.tiny)
        total = total + torch.exp2(torch.floor(torch.log2(size))) * (info.eps / 2)
    return total


def gradient_noise(*tensors: Tensor) -> Tensor:
    """(n,) float64: as `rounding`, for sums of many products: an element is as wrong as its tensor's typical one."""
    total = torch.zeros(())
    for tensor in tensors:
        info = torch.finfo(tensor.dtype if tensor.is_floating_point() else torch.float64)
        line = flat(tensor).abs()
        total = total + (line + line.square().mean().sqrt() + info.tiny) * (2 * info.eps)
    return total


def measure(
    differences: Sequence[Tensor], left: Sequence[Tensor], noise: Sequence[Tensor], coefficients: Sequence[float] = ()
) -> Fit:
    """The fit of an explanation that leaves `left` of `differences`; lists of (n,) tensors, one per tensor."""
    before = [_rms(d / n) for d, n in zip(differences, noise, strict=True)]
    after = [_rms(r / n) for r, n in zip(left, noise, strict=True)]
    sizes = [d.numel() for d in differences]
    total = max(sum(sizes), 1)
    # The worst is the one of which most is left, among those with more left than rounding.
    place = max(range(len(after)), key=lambda i: (after[i] / max(before[i], 1.0), after[i]), default=None)
    return Fit(
        math.sqrt(sum(size * value**2 for size, value in zip(sizes, before, strict=True)) / total),
        math.sqrt(sum(size * value**2 for size, value in zip(sizes, after, strict=True)) / total),
        after[place] if place is not None else 0.0,
        before[place] if place is not None else 0.0,
        sum(sizes),
        tuple(coefficients),
    )


def is_multiple(a: Sequence[Tensor], b: Sequence[Tensor], ratio: float, noise: Sequence[Tensor]) -> bool:
    """Whether b = ratio · a by b's own measure: of a large difference a small b is always next to nothing.

    `noise` are the rounding errors that elements of `b` and of `ratio` · `a` may carry together.
    """
    left = [y - ratio * x for x, y in zip(a, b, strict=True)]
    sizes = [sum(float(part.square().sum()) for part in parts) for parts in (left, b, noise)]
    return bool(sizes[1]) and (sizes[0] <= _SHARE**2 * sizes[1] or sizes[0] <= _LEFT**2 * sizes[2])


def least_squares(targets: Sequence[Tensor], columns: Sequence[Sequence[Tensor]], noise: Sequence[Tensor]) -> Fit:
    """Fit `targets` = sum of coefficient × column over all tensors at once.

    `columns` are lists like `targets`. A column of zeros gets the coefficient 0.
    """
    if not targets:
        return measure(targets, targets, noise, [0.0] * len(columns))
    scaled = torch.cat([target / n for target, n in zip(targets, noise, strict=True)])
    matrix = [torch.cat([part / n for part, n in zip(column, noise, strict=True)]) for column in columns]
    lengths = [float(column.norm()) or 1.0 for column in matrix]
    if scaled.numel() == 0 or not columns or not bool(torch.isfinite(scaled).all()):
        return measure(targets, targets, noise, [0.0] * len(columns))
    system = torch.stack([column / length for column, length in zip(matrix, lengths, strict=True)], 1)
    if not bool(torch.isfinite(system).all()):
        return measure(targets, targets, noise, [0.0] * len(columns))
    solved = torch.linalg.lstsq(system, scaled[:, None], driver="gelsd").solution[:, 0]
    coefficients = [float(value) / length for value, length in zip(solved, lengths, strict=True)]
    left = [
        target - sum((c * column[i] for c, column in zip(coefficients, columns, strict=True)), torch.zeros(()))
        for i, target in enumerate(targets)
    ]
    return measure(targets, left, noise, coefficients)


def _rms(tensor: Tensor) -> float:
    return float(tensor.square().mean().sqrt()) if tensor.numel() else 0.0
