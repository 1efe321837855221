"""Level L3: an optimizer of the project's whose settings nobody annotated."""

from __future__ import annotations

from typing import Any

OWN = """
import gin

from legacy_lab.optim.optimizer import Optimizer


@gin.configurable
class Untyped(Optimizer):
    def __init__(self, model, lr=1e-2, beta=0.9, decay=0.0, accumulate=1, clip_norm=None, schedule=None):
        super().__init__(model, lr, decay, accumulate, clip_norm, None, schedule, beta=beta)

    def update(self):
        for group in self.groups:
            for name, parameter in zip(group["names"], group["params"]):
                if parameter.grad is None:
                    continue
                (m,) = self.slot(name, parameter, "m")
                m.mul_(group["beta"]).add_(parameter.grad, alpha=1 - group["beta"])
                parameter.mul_(1 - group["lr"] * group["decay"]).add_(m.sign(), alpha=-group["lr"])
"""


def test_a_setting_whose_default_is_a_number_may_be_an_object(native: Any) -> None:
    """As gin gives it: `accumulate=1` was said to take numbers alone."""
    native.more["untyped.py"] = OWN
    with native.registered("untyped"):
        native.identical(
            "Trainer.optimizer = @Untyped", "Untyped.accumulate = @Accumulation()", "Accumulation.every = 2",
            "Accumulation.form = 'sum'", "Untyped.decay = 0.1",
        )  # fmt: skip
