"""torch's DataLoader over one of Lab's datasets."""

from __future__ import annotations

from typing import Any

import gin
import torch
from torch.utils.data import DataLoader

from legacy_lab.data.loader import Dataset


@gin.configurable  # type: ignore[untyped-decorator]  # gin ships no types
def torch_loader(
    dataset: Dataset,
    batch_size: int,
    shuffle: bool = True,
    drop_last: bool = False,
    workers: int = 0,
    seed: int | None = None,
) -> DataLoader[Any]:
    """For `Epochs`. Without `seed` it draws from the global generator, as torch does.

    With `workers` batches are made in as many processes.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return DataLoader(
        _Examples(dataset),
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        num_workers=workers,
        generator=generator,
        collate_fn=_Collate(dataset),
    )


class _Examples(torch.utils.data.Dataset[int]):
    """Indices in place of examples: Lab's datasets stack them themselves."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> int:
        return index


class _Collate:
    """A batch from its indices."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, indices: list[int]) -> Any:
        return self.dataset.batch(torch.tensor(indices))
