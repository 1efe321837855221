"""Evaluation between two steps, as legacy trainers do it: own loader, EMA weights, mean of the metrics."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import attrs
import torch

from lab_adapters.generators import generator_states, set_generator_states
from lab_adapters.loader import LoaderAdapter
from lab_adapters.protocols import Metrics

if TYPE_CHECKING:
    from lab_adapters.block_module import BlockModule


GENERATORS = ("shared", "kept", "own")


@attrs.frozen
class Evaluation:
    """Every `every` steps: `batches` batches without gradients, or (None) those up to the end of an epoch.

    Not a Lightning validation loop, which would build its own loader iterator and draw from the global generator.
    `report` gets the step and `{"eval/<metric>": mean}`.

    `first` also evaluates before step 0. Without `eval_mode` the model stays in training mode. `averaged` swaps the
    EMA's weights in. `generators`: evaluation draws from the training's generators (`shared`), which are put back
    afterwards (`kept`), or from `own` ones, seeded with `seed`.
    """

    loader: LoaderAdapter
    every: int = attrs.field(validator=attrs.validators.ge(0))
    batches: int | None = attrs.field(validator=attrs.validators.optional(attrs.validators.gt(0)))
    report: Callable[[int, dict[str, float]], None]
    first: bool = False
    eval_mode: bool = True
    averaged: bool = True
    generators: str = attrs.field(default="shared", validator=attrs.validators.in_(GENERATORS))
    seed: int = 0

    def at_start(self, module: BlockModule) -> None:
        """Before step 0."""
        if self.first:
            self.evaluate(module)

    def __call__(self, module: BlockModule, metrics: Metrics) -> None:
        """Evaluate if it is time."""
        if self.every and module.step % self.every == 0:
            self.evaluate(module)

    def evaluate(self, module: BlockModule) -> dict[str, float]:
        """Evaluate now, report and tell the hooks; what was found."""
        totals: dict[str, float] = {}
        count = 0
        # Before its first update an average has nothing to swap in; one that does not count is swapped in always.
        averages = self.averaged and module.ema is not None and getattr(module.ema, "updates", True)
        swapped = module.ema.swapped(module.model) if averages and module.ema is not None else nullcontext()
        if self.eval_mode:
            module.model.eval()
        with self._drawing(), torch.no_grad(), swapped:
            while count == 0 or (count < self.batches if self.batches else not self.loader.epoch_ended):
                _, found = module.compute(self.loader.next_batch(module.device))
                count += 1
                for name, value in found.items():
                    totals[name] = totals.get(name, 0.0) + float(value)
        if self.eval_mode:
            module.model.train()
        means = {f"eval/{name}": total / count for name, total in totals.items()}
        self.report(module.step, means)
        for hook in module.hooks:
            hook.after_eval(module, means)
        return means

    @contextlib.contextmanager
    def _drawing(self) -> Iterator[None]:
        if self.generators == "shared":
            yield
            return
        before = generator_states()
        if self.generators == "own":
            torch.manual_seed(self.seed)
        try:
            yield
        finally:
            set_generator_states(before)
