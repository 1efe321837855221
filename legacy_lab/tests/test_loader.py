"""Lab's loader: endless, sharded by itself, resumable anywhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from legacy_lab.data.digits import Digits
from legacy_lab.data.loader import Loader
from legacy_lab.data.text import Text


class Numbers:
    """`size` examples, each its own number."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """The numbers themselves."""
        return {"x": indices.clone()}


LOADERS = st.fixed_dictionaries(
    {"batch_size": st.integers(1, 5), "seed": st.integers(0, 3), "shuffle": st.booleans(), "drop_last": st.booleans()}
)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(5, 23), at=st.integers(0, 30), arguments=LOADERS)
def test_a_loader_goes_on_from_its_state_wherever_it_was_taken(size: int, at: int, arguments: dict[str, int]) -> None:
    """Mid-epoch, at an epoch's end, before the first batch: the next batches are the same."""
    loader, resumed = Loader(Numbers(size), **arguments), Loader(Numbers(size), **arguments)
    for _ in range(at):
        loader.next_batch()
    resumed.load_state(loader.state())
    for _ in range(12):
        assert torch.equal(loader.next_batch()["x"], resumed.next_batch()["x"])
        assert (loader.epoch, loader.epoch_ended) == (resumed.epoch, resumed.epoch_ended)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(6, 30), world_size=st.integers(1, 3), arguments=LOADERS)
def test_ranks_share_an_epoch_without_overlap(size: int, world_size: int, arguments: dict[str, int]) -> None:
    """In one epoch no example is dealt out twice, and all ranks get equally many batches."""
    arguments["batch_size"] = min(arguments["batch_size"], size // world_size)
    loaders = [Loader(Numbers(size), rank=rank, world_size=world_size, **arguments) for rank in range(world_size)]
    seen: list[int] = []
    for loader in loaders:
        while not loader.epoch_ended:
            seen += loader.next_batch()["x"].tolist()
    assert len(seen) == len(set(seen))
    assert {loader.epoch for loader in loaders} == {1}


def test_the_global_generator_is_never_asked() -> None:
    """Shuffling is the loader's own affair."""
    before = torch.get_rng_state()
    loader = Loader(Numbers(7), batch_size=2)
    for _ in range(10):
        loader.next_batch()
    assert torch.equal(before, torch.get_rng_state())


def test_a_batch_larger_than_a_shard_is_refused() -> None:
    """It would never deal out a batch."""
    with pytest.raises(ValueError, match=r"expected at most 5 .*found 6"):
        Loader(Numbers(10), batch_size=6, world_size=2)


def test_the_datasets_are_real() -> None:
    """1,797 digits in two splits; text whose next characters are the text one further."""
    assert len(Digits("train")) + len(Digits("test")) == 1797
    text = Text(length=8, characters=1000)
    batch = text.batch(torch.tensor([0, 1]))
    assert torch.equal(batch["tokens"][0, 1:], batch["next"][0, :-1])
    assert batch["next"][0, -1] == batch["tokens"][1, 0]
