"""How many losses make an update, where Lightning's own accumulation would make another of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from lab_migrate.native.refused import NotNativeError

__all__ = ["Windows", "beside_windows", "windows_of"]


@attrs.frozen
class Windows:
    """An update takes `every` losses, as Lab's `Accumulation` has it: `form` says where their mean is taken, `leftover`
    what becomes of those that a pass's end leaves over. `patience` is None where losses that are not finite count."""

    every: int
    form: str
    leftover: str
    patience: int | None

    @property
    def share(self) -> str:
        """What backward is called on."""
        return "loss / self.config.accumulate" if self.every > 1 and self.form == "mean" else "loss"

    @property
    def finish(self) -> list[str]:
        """What the summed gradients are turned into: a statement for each `parameter` that has one; empty for none."""
        counts = self.leftover == "count"
        if self.every > 1 and self.form == "grads":
            return [f"parameter.grad.div_({'taken' if counts else 'self.config.accumulate'})"]
        return ["parameter.grad.mul_(self.config.accumulate / taken)"] if self.every > 1 and counts else []


def windows_of(trainer: Any) -> Windows | None:
    """Of a typed config; None where Lightning's accumulation has the bits."""
    accumulate = getattr(trainer.optimizer, "accumulate", 1)
    every = int(getattr(accumulate, "every", accumulate))
    form, leftover = getattr(accumulate, "form", "mean"), getattr(accumulate, "leftover", "carry")
    patience = trainer.stepper.patience if getattr(trainer.stepper, "skip_nan", False) else None
    if patience is None and (every == 1 or (form, leftover) == ("mean", "carry")):
        return None
    return Windows(every, form, leftover, patience)


def beside_windows(trainer: Any) -> Iterator[NotNativeError]:
    """What no step by hand has beside it: copies in fp32, which take gradients at another time."""
    windows = windows_of(trainer)
    if windows is None or not getattr(getattr(trainer.optimizer, "gradients", None), "masters", False):
        return
    what = f"Accumulation.form is {windows.form!r} and leftover {windows.leftover!r}"
    yield NotNativeError(
        "LM405", f"{'Plain.skip_nan is set' if windows.patience is not None else what}, beside fp32 copies",
        "drop one of the two, or stay at level L2",
    )  # fmt: skip
