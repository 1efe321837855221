"""Lab's loader: endless, already on the device, and able to say where it stands."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import gin
import torch
from torch import Tensor

from legacy_lab.data.move import to_device


class Dataset(Protocol):
    """What a loader deals out."""

    def __len__(self) -> int:
        """How many examples there are."""
        ...

    def batch(self, indices: Tensor) -> Any:
        """The examples at `indices`, stacked: tensors in a mapping, list, tuple or object with `to(device)`."""
        ...


@runtime_checkable
class BatchSource(Protocol):
    """What a trainer asks of a loader: batches without end, and for a checkpoint where it stands.

    It also has `epoch_ended`, whether the batch that was dealt out last was an epoch's last.
    """

    def next_batch(self) -> Any:
        """The next batch, on the device."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain numbers and tensors."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        ...


@gin.configurable
class Loader:
    """Deals out a dataset in epochs without end.

    Each epoch is shuffled by the loader's own generator, so nothing outside disturbs the order, and then sharded:
    rank r of n takes every n-th example from the r-th on, and all ranks get equally many. The end of an epoch is
    signalled by `epoch_ended`, never raised.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = True,
        rank: int = 0,
        world_size: int = 1,
        device: str = "cpu",
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"Loader.rank: expected 0 <= rank < world_size={world_size}, found {rank}")
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.rank, self.world_size, self.device = rank, world_size, device
        shard = len(dataset) // world_size
        self.batches_per_epoch = shard // batch_size if drop_last else -(-shard // batch_size)
        if self.batches_per_epoch < 1:
            raise ValueError(
                f"Loader.batch_size: expected at most {shard} (examples a rank), found {batch_size}; "
                "lower it or set drop_last=False"
            )
        self.generator = torch.Generator().manual_seed(seed)
        self.epoch = 0
        self.epoch_ended = False
        self.position = 0  # batches dealt out in this epoch
        self.order = self._shuffled()

    def next_batch(self) -> Any:
        """The next batch, on the device. After the last of an epoch `epoch_ended` is True and `epoch` one higher."""
        if self.epoch_ended:
            self.order, self.position, self.epoch_ended = self._shuffled(), 0, False
        shard = self.order[self.rank :: self.world_size][: len(self.dataset) // self.world_size]
        indices = shard[self.position * self.batch_size : (self.position + 1) * self.batch_size]
        self.position += 1
        if self.position == self.batches_per_epoch:
            self.epoch_ended = True
            self.epoch += 1
        return to_device(self.dataset.batch(indices), self.device)

    def state(self) -> dict[str, Any]:
        """Where the loader stands, mid-epoch included: plain numbers and tensors."""
        return {
            "epoch": self.epoch,
            "epoch_ended": self.epoch_ended,
            "position": self.position,
            "order": self.order.clone(),
            "generator": self.generator.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. Raises `ValueError` where the dataset has another size."""
        if len(state["order"]) != len(self.dataset):
            raise ValueError(f"loader state: expected {len(self.dataset)} examples, found {len(state['order'])}")
        self.epoch, self.epoch_ended, self.position = state["epoch"], state["epoch_ended"], state["position"]
        self.order = state["order"].clone()
        self.generator.set_state(state["generator"])

    def _shuffled(self) -> Tensor:
        size = len(self.dataset)
        return torch.randperm(size, generator=self.generator) if self.shuffle else torch.arange(size)
