"""Code at the beginning of an epoch runs once more on resume, and finds what it found then, not what the program began
with: it loads the next part of the data, draws an order, counts."""

from __future__ import annotations

import multiprocessing
import random
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lab_adapters import outlined

DATA = torch.arange(48.0).reshape(16, 3) / 48


class Parts(Dataset[Tensor]):
    """Holds one part of the data at a time; the parts are of different sizes, and come again."""

    def __init__(self) -> None:
        self.next = 0
        self.part = DATA[:2]

    def load(self) -> None:
        """The next part."""
        sizes = [4, 6, 2, 3]
        first = sum(sizes[: self.next])
        self.part = DATA[first : first + sizes[self.next]]
        self.next = (self.next + 1) % 4

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> Tensor:
        return self.part[index]


class Counting(Sampler[int]):
    """Counts its own epochs, which seed its order."""

    def __init__(self, size: int) -> None:
        self.size, self.epoch = size, 0

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(self.size, generator=torch.Generator().manual_seed(self.epoch))
        self.epoch += 1
        return iter(order.tolist())


class Drawing:
    """Batches in an order that generators of its own draw, and a share of the data that grows."""

    def __init__(self) -> None:
        self.old, self.new, self.python = np.random.RandomState(1), np.random.default_rng(1), random.Random(1)
        self.share = np.float64(0.4)

    def batches(self) -> Iterator[Tensor]:
        """Those of one epoch."""
        self.share += 0.1
        size = int(16 * self.share)
        order = self.old.permutation(16)[self.new.permutation(size)]
        start = self.python.randrange(2)
        return iter([DATA[order[at : at + 2].tolist()] for at in range(start, size, 2)])


def of_parts() -> Callable[[], Iterable[Tensor]]:
    """A part at a time, loaded before each epoch."""
    parts = Parts()
    loader = DataLoader(parts, batch_size=2, shuffle=True)

    def epoch() -> Iterable[Tensor]:
        parts.load()
        return loader

    return epoch


def of_sampler() -> Callable[[], Iterable[Tensor]]:
    """In the sampler's order."""
    loader = DataLoader(DATA, batch_size=4, sampler=Counting(16))  # type: ignore[arg-type, var-annotated]
    return lambda: loader


def of_generator() -> Callable[[], Iterable[Tensor]]:
    """In an order of the loader's own generator."""
    own = torch.Generator().manual_seed(3)
    loader = DataLoader(DATA, batch_size=4, shuffle=True, generator=own)  # type: ignore[arg-type, var-annotated]
    return lambda: loader


def of_drawing() -> Callable[[], Iterable[Tensor]]:
    """In an order that is drawn before each epoch."""
    drawing = Drawing()
    return lambda: drawing.batches()


class Masking:
    """Masks each batch by how many there were, which the workers of a loader would count together."""

    def __init__(self) -> None:
        self.count = multiprocessing.Value("i", -1)

    def __call__(self, rows: list[Tensor]) -> Tensor:
        """A batch of these rows."""
        with self.count.get_lock():
            self.count.value += 1
            drawn = torch.Generator().manual_seed(self.count.value)
        return torch.stack(rows) * (torch.rand(3, generator=drawn) > 0.3)


def of_masks() -> Callable[[], Iterable[Tensor]]:
    """By a collator that counts its batches through all epochs."""
    loader = DataLoader(DATA, batch_size=4, collate_fn=Masking())  # type: ignore[arg-type, var-annotated]
    return lambda: loader


EPOCHS = {
    "a collator that counts in memory that processes share": of_masks,
    "a data set that loads its next part": of_parts,
    "a sampler that counts its epochs": of_sampler,
    "a loader with a generator of its own": of_generator,
    "batches drawn by generators of the program's own": of_drawing,
}


def train(make: Callable[[], Callable[[], Iterable[Tensor]]], said: list[str]) -> None:
    """Four epochs."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    epoch_of = make()

    def epoch_loop(epoch: int) -> Iterator[Any]:
        def training_step(batch: Tensor) -> None:
            optimizer.zero_grad()
            loss = model(batch).square().mean()
            loss.backward()
            optimizer.step()
            said.append(f"{epoch} {batch.sum().item():.4f} {loss.item().hex()}")

        yield from outlined.steps(training_step, epoch_of())

    outlined.fit(epoch_loop, range(4))


@pytest.mark.parametrize("at", [1, 3, 5, 7])
@pytest.mark.parametrize("name", EPOCHS)
def test_a_resumed_epoch_begins_as_it_began(tmp_path: Path, name: str, at: int) -> None:
    """In the first epoch and in later ones, in their middle and at their end: the same batches follow."""
    saved = tmp_path / "now.ckpt"

    class Save(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
            if trainer.global_step == at:
                trainer.save_checkpoint(saved)

    whole: list[str] = []
    with outlined.trainer_settings(callbacks=[Save()]):
        train(EPOCHS[name], whole)
    resumed: list[str] = []
    with outlined.trainer_settings(ckpt_path=str(saved)):
        train(EPOCHS[name], resumed)
    assert resumed[at - len(whole) :] == whole[at:] != []


@pytest.mark.parametrize("mark", [lambda body: body, outlined.reads_models])
def test_what_is_again_as_the_program_made_it_is_so_when_the_run_goes_on(checkpoint: Any, mark: Any) -> None:
    """A mode, a number and a list that are others at the epoch's beginning than before the loop and in its middle."""

    def run() -> list[Any]:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
        turn, names, said = 0, ["a"], []

        @mark
        def epoch_loop(epoch: int) -> Iterator[Any]:
            said.append((epoch, model.training, turn, list(names)))

            def training_step(index: int) -> None:
                nonlocal turn
                turn = (turn + 1) % 2
                names[0] = "ab"[turn]
                model.train(turn == 0)
                said.append((model.training, turn, names[0], model(torch.ones(1, 3)).sum().item()))

            yield from outlined.steps(training_step, range(3))

        outlined.fit(epoch_loop, range(4))
        return said

    whole = checkpoint.written_at(4, run)
    assert checkpoint.resumed(run) == whole
    assert whole[4][1:3] == (False, 1)


@pytest.mark.parametrize(("persistent", "at"), [(True, 5), (True, 2), (False, 5)])
def test_workers_that_live_through_the_epochs_are_said_to_start_anew(
    checkpoint: Any, persistent: bool, at: int
) -> None:
    """Their generators are in no checkpoint; in the first epoch, and where each has its own, they draw as before."""

    def run() -> list[float]:
        torch.manual_seed(0)
        said: list[float] = []
        loader = DataLoader(Drawn(), 2, num_workers=1, persistent_workers=persistent)

        def epoch_loop(epoch: int) -> Iterator[Any]:
            yield from outlined.steps(lambda batch: said.extend(batch.tolist()), loader)

        outlined.fit(epoch_loop, range(3))
        return said

    whole = checkpoint.written_at(at, run)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resumed = checkpoint.resumed(run)
    said = any("persistent_workers=True start anew" in str(one.message) for one in caught)
    assert said == (persistent and at > 3)
    assert said or resumed == whole


class Drawn(Dataset[float]):
    """Its items are drawn where they are made."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> float:
        return torch.rand(()).item()
