"""Accumulation: how the losses of several micro-batches become one update's gradients."""

from __future__ import annotations

from collections.abc import Iterable

import gin
from torch import Tensor

FORMS = ("mean", "sum", "grads")
LEFTOVERS = ("carry", "step", "count", "drop")


@gin.configurable
class Accumulation:
    """`every` micro-batches make one update.

    `form` says where the mean is taken: `mean` divides each loss by `every` before its backward pass, `grads`
    divides the summed gradients afterwards, `sum` takes no mean at all. These differ in the last bits.

    `leftover` says what becomes of a window that the end of an epoch cuts short: `carry` fills it up in the next
    epoch, `step` updates with it as if it were whole, `count` updates with the mean over its actual count, `drop`
    throws it away.
    """

    def __init__(self, every: int = 1, form: str = "mean", leftover: str = "carry") -> None:
        if every < 1:
            raise ValueError(f"Accumulation.every: expected at least 1, found {every}")
        if form not in FORMS:
            raise ValueError(f"Accumulation.form: expected one of {', '.join(FORMS)}, found {form!r}")
        if leftover not in LEFTOVERS:
            raise ValueError(f"Accumulation.leftover: expected one of {', '.join(LEFTOVERS)}, found {leftover!r}")
        if leftover == "count" and form == "sum":
            raise ValueError("Accumulation.leftover: expected 'carry', 'step' or 'drop' with form='sum', found 'count'")
        self.every, self.form, self.leftover = every, form, leftover

    def share(self, loss: Tensor) -> Tensor:
        """What backward is called on for one micro-batch."""
        return loss / self.every if self.form == "mean" else loss

    def finish(self, gradients: Iterable[Tensor], count: int) -> None:
        """Turn the summed gradients of `count` micro-batches into those of the update, in place."""
        actual = count if self.leftover == "count" else self.every
        for gradient in gradients:
            if self.form == "grads":
                gradient.div_(actual)
            elif self.form == "mean" and actual != self.every:
                gradient.mul_(self.every / actual)
