"""Evaluation between two steps, as legacy trainers do it: own loader, EMA weights, mean of the metrics."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import torch

from lab_adapters.loader import LoaderAdapter
from lab_adapters.protocols import Metrics

if TYPE_CHECKING:
    from lab_adapters.block_module import BlockModule


@attrs.frozen
class Evaluation:
    """Every `every` steps: `batches` batches in eval mode without gradients, then back to training.

    Not a Lightning validation loop, which would build its own loader iterator and draw from the global generator.
    `report` gets `{"eval/<metric>": mean}` and the step.
    """

    loader: LoaderAdapter
    every: int = attrs.field(validator=attrs.validators.gt(0))
    batches: int = attrs.field(validator=attrs.validators.gt(0))
    report: Callable[[int, dict[str, float]], None]

    def __call__(self, module: BlockModule, metrics: Metrics) -> None:
        """Evaluate if it is time."""
        if module.step % self.every:
            return
        totals: dict[str, float] = {}
        swapped = module.ema.swapped(module.model) if module.ema is not None else contextlib.nullcontext()
        module.model.eval()
        with torch.no_grad(), swapped:
            for _ in range(self.batches):
                _, found = module.objective(module.model, self.loader.next_batch(module.device))
                for name, value in found.items():
                    totals[name] = totals.get(name, 0.0) + float(value)
        module.model.train()
        means = {f"eval/{name}": total / self.batches for name, total in totals.items()}
        self.report(module.step, means)
        for hook in module.hooks:
            hook.after_eval(module, means)
