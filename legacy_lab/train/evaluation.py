"""Evaluation between two steps: mean metrics over the evaluation loader."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import gin
import torch

from legacy_lab.train import checkpoint

if TYPE_CHECKING:
    from legacy_lab.train.trainer import Trainer

GENERATORS = ("shared", "kept", "own")


@gin.configurable
class Evaluation:
    """How the trainer evaluates; when, and on how many batches, is the trainer's affair.

    `at_start` also evaluates before step 0. Without `eval_mode` the model stays in training mode: dropout drops,
    batch norm learns. With `averaged` the EMA's weights are swapped in where there are any. `generators` says from
    which random numbers evaluation draws: the training's (`shared`), the same but put back afterwards (`kept`), or
    `own` ones, seeded with `seed` each time and put back.
    """

    def __init__(
        self,
        at_start: bool = False,
        eval_mode: bool = True,
        averaged: bool = True,
        generators: str = "shared",
        seed: int = 0,
    ) -> None:
        if generators not in GENERATORS:
            raise ValueError(f"Evaluation.generators: expected one of {', '.join(GENERATORS)}, found {generators!r}")
        self.at_start, self.eval_mode, self.averaged = at_start, eval_mode, averaged
        self.generators, self.seed = generators, seed

    def __call__(self, trainer: Trainer) -> dict[str, float]:
        """`{"eval/<metric>": mean}`. The model is back in training mode afterwards."""
        loader = trainer.eval_loader
        if loader is None:
            raise ValueError("Trainer.eval_loader: expected a loader factory, found None; bind it to evaluate")
        totals: dict[str, float] = {}
        batches = 0
        wanted = trainer.eval_batches or getattr(loader, "batches_per_epoch", None)
        if self.eval_mode:
            trainer.model.eval()
        with self._drawing(), torch.no_grad(), self._weights(trainer):
            while batches == 0 or (batches < wanted if wanted else not loader.epoch_ended):
                _, metrics = trainer.compute(loader.next_batch())
                batches += 1
                for name, value in metrics.items():
                    totals[name] = totals.get(name, 0.0) + float(value)
        if self.eval_mode:
            trainer.model.train()
        return {f"eval/{name}": total / batches for name, total in totals.items()}

    @contextlib.contextmanager
    def _drawing(self) -> Iterator[None]:
        if self.generators == "shared":
            yield
            return
        before = checkpoint.generator_states()
        if self.generators == "own":
            torch.manual_seed(self.seed)
        try:
            yield
        finally:
            checkpoint.set_generator_states(before)

    def _weights(self, trainer: Trainer) -> AbstractContextManager[None]:
        if self.averaged and trainer.ema is not None and trainer.ema.updates:
            return trainer.ema.swapped(trainer.model)
        return contextlib.nullcontext()
