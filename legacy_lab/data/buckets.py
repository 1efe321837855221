"""Batches of examples of similar length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import gin
import torch
from torch import Tensor

from legacy_lab.data.loader import Dataset
from legacy_lab.data.move import to_device


class Lengthy(Dataset, Protocol):
    """A dataset whose examples have lengths; `batch` pads to the longest."""

    lengths: Tensor


@gin.configurable
class Buckets:
    """Examples are dealt into buckets by length, at `bounds`; a bucket that is full is the next batch.

    Each epoch is shuffled by the loader's own generator; buckets that are not full at its end are dealt out as
    they are.
    """

    def __init__(
        self, dataset: Lengthy, batch_size: int, bounds: Sequence[int], seed: int = 0, device: str = "cpu"
    ) -> None:
        self.dataset, self.batch_size, self.device = dataset, batch_size, device
        self.bounds = torch.tensor(sorted(bounds))
        self.generator = torch.Generator().manual_seed(seed)
        self.epoch = self.position = 0
        self.epoch_ended = False
        self.batches = self._dealt(torch.randperm(len(dataset), generator=self.generator))

    def next_batch(self) -> Any:
        """The next full bucket."""
        if self.epoch_ended:
            self.batches = self._dealt(torch.randperm(len(self.dataset), generator=self.generator))
            self.position, self.epoch_ended = 0, False
        indices = self.batches[self.position]
        self.position += 1
        if self.position == len(self.batches):
            self.epoch_ended = True
            self.epoch += 1
        return to_device(self.dataset.batch(indices), self.device)

    def state(self) -> dict[str, Any]:
        """Where the loader stands."""
        return {
            "epoch": self.epoch,
            "epoch_ended": self.epoch_ended,
            "position": self.position,
            "batches": [indices.clone() for indices in self.batches],
            "generator": self.generator.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.epoch, self.epoch_ended, self.position = state["epoch"], state["epoch_ended"], state["position"]
        self.batches = [indices.clone() for indices in state["batches"]]
        self.generator.set_state(state["generator"])

    def _dealt(self, order: Tensor) -> list[Tensor]:
        buckets: list[list[int]] = [[] for _ in range(len(self.bounds) + 1)]
        batches = []
        for index, bucket in zip(
            order.tolist(), torch.bucketize(self.dataset.lengths[order], self.bounds), strict=True
        ):
            buckets[bucket].append(index)
            if len(buckets[bucket]) == self.batch_size:
                batches.append(torch.tensor(buckets[bucket]))
                buckets[bucket] = []
        return batches + [torch.tensor(bucket) for bucket in buckets if bucket]
