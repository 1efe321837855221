"""A mixture of loaders whose weights move with the training's global step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gin
import torch


@gin.configurable
class Mixture:
    """Each batch is from one of `loaders`, drawn by weights that go from `start` to `end` in `steps` steps.

    It reads the trainer's step, so that all batches of an accumulated step are drawn alike. It has no epochs.
    """

    epoch_ended = False

    def __init__(
        self, loaders: Sequence[Any], start: Sequence[float], end: Sequence[float], steps: int, seed: int = 0
    ) -> None:
        if not len(loaders) == len(start) == len(end):
            raise ValueError(
                f"Mixture: expected a start and an end for each of {len(loaders)} loaders, "
                f"found {len(start)} and {len(end)}"
            )
        self.loaders, self.steps = list(loaders), steps
        self.start, self.end = torch.tensor(start), torch.tensor(end)
        self.generator = torch.Generator().manual_seed(seed)
        self.trainer: Any = None

    def attach(self, trainer: Any) -> None:
        """Whose step is read."""
        self.trainer = trainer

    def next_batch(self) -> Any:
        """A batch of the loader that was drawn. Raises `RuntimeError` without a trainer."""
        if self.trainer is None:
            raise RuntimeError("Mixture: expected attach(trainer) before the first batch")
        weights = torch.lerp(self.start, self.end, min(1.0, self.trainer.step / self.steps))
        drawn = int(torch.multinomial(weights, 1, generator=self.generator))
        return self.loaders[drawn].next_batch()

    def state(self) -> dict[str, Any]:
        """Where the loaders and the drawing stand."""
        return {"loaders": [loader.state() for loader in self.loaders], "generator": self.generator.get_state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        for loader, its_state in zip(self.loaders, state["loaders"], strict=True):
            loader.load_state(its_state)
        self.generator.set_state(state["generator"])
