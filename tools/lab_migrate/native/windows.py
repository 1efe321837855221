"""How many losses make an update, where Lightning's own accumulation would make another of them."""

from __future__ import annotations

from typing import Any

import attrs

from lab_migrate.native.refused import NotNativeError

__all__ = ["Windows", "windows_of"]


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
    """Of a typed config; None where Lightning's accumulation has the bits.

    Raises `NotNativeError` for a loss scaler or fp32 copies beside it: Lightning's plugins unscale, and the copies take
    gradients, at another time.
    """
    accumulate = getattr(trainer.optimizer, "accumulate", 1)
    every = int(getattr(accumulate, "every", accumulate))
    form, leftover = getattr(accumulate, "form", "mean"), getattr(accumulate, "leftover", "carry")
    patience = trainer.stepper.patience if getattr(trainer.stepper, "skip_nan", False) else None
    if patience is None and (every == 1 or (form, leftover) == ("mean", "carry")):
        return None
    gradients = getattr(trainer.optimizer, "gradients", None)
    beside = [
        said
        for said, there in (
            ("a loss scaler", getattr(gradients, "scaler", None) is not None),
            ("fp32 copies", getattr(gradients, "masters", False)),
        )
        if there
    ]
    if beside:
        what = "losses are passed over" if patience is not None else f"losses are taken by {form!r} and {leftover!r}"
        raise NotNativeError(
            "LM405", f"{what}, beside {' and '.join(beside)}", "drop one of the two, or stay at level L2"
        )
    return Windows(every, form, leftover, patience)
