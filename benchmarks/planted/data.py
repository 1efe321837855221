"""Small synthetic data, and a loader that shuffles with a generator of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from planted.settings import Settings
from torch import Tensor

__all__ = ["batches", "samples_of"]


def samples_of(kind: str, count: int) -> tuple[Tensor, Tensor]:
    """(inputs, targets) of a kind of task; always the same."""
    g = torch.Generator().manual_seed(11)
    if kind == "image":
        return torch.randn(count, 2, 8, 8, generator=g), torch.randint(0, 4, (count,), generator=g)
    if kind == "text":
        tokens = torch.randint(0, 12, (count, 9), generator=g)
        return tokens[:, :-1], tokens[:, 1:]
    if kind == "series":
        return torch.randn(count, 7, 3, generator=g), torch.randn(count, 2, generator=g)
    return torch.randn(count, 10, generator=g), torch.randint(0, 3, (count,), generator=g)


def batches(kind: str, setting: Callable[[], Settings]) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches; `setting` gives the settings of the moment."""
    inputs, targets = samples_of(kind, setting().samples)
    generator = torch.Generator().manual_seed(5)
    skipped = thrown = repeated = False
    while True:
        s = setting()
        if s.order_draws and not thrown:
            thrown = True
            for _ in range(s.order_draws):
                torch.randperm(len(inputs), generator=generator)
        order = torch.randperm(len(inputs), generator=generator) if s.shuffle else torch.arange(len(inputs))
        if s.shard:
            order = order[:: s.shard]
        chunks = [order[start : start + s.batch] for start in range(0, len(order), s.batch)]
        if s.drop_last and len(chunks[-1]) < s.batch:
            chunks.pop()
        place = 0
        while place < len(chunks):
            s = setting()
            chunk = chunks[place]
            if s.swap:
                chunk = chunks[place ^ 1] if place ^ 1 < len(chunks) else chunk
            if s.skip and not skipped:
                skipped = True
                place += s.skip
                continue
            x = inputs[chunk]
            yield (x * s.input_scale if x.is_floating_point() else x), targets[chunk]
            if s.repeat and not repeated:
                repeated = True
                continue
            place += 1
