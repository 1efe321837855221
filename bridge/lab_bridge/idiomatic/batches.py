"""A Lab loader as Lightning wants one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import legacy_lab

__all__ = ["Batches"]


class Batches:
    """Micro-batches with a length, so that Lightning prefetches none: those of an epoch, or of the whole training.

    Epochs are the loader's where `size` is their length. Where the loader stands is in the legacy part of a
    checkpoint, so that its state as Lightning saves it is empty.
    """

    def __init__(self, training: legacy_lab.Trainer, size: int) -> None:
        self.loader, self.size = training.loader, size

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Any]:
        dealt = 0
        while dealt < self.size:
            yield self.loader.next_batch()
            dealt += 1

    def lengthen(self, size: int) -> None:
        """Let the iteration that is under way go on up to `size`."""
        self.size = size

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to load."""
