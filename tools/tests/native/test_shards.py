"""Level L3: Lab's loader that deals out a part of its data."""

from __future__ import annotations

from typing import Any

import pytest

SHARDS: dict[str, tuple[str, ...]] = {
    "of both": (
        "train/Loader.world_size = 3", "train/Loader.rank = 2", "train/Loader.batch_size = 2",
        "test/Loader.world_size = 2", "test/Loader.batch_size = 3", "test/Loader.drop_last = False",
    ),
    "and windows": (
        "train/Loader.world_size = 2", "train/Loader.rank = 1", "Adam.accumulate = @Accumulation()",
        "Accumulation.every = 2", "Accumulation.leftover = 'drop'", "train/Loader.batch_size = 2",
    ),
    "and a schedule by passes": (
        "test/Loader.world_size = 2", "test/Loader.rank = 1", "train/Loader.world_size = 2",
        "Adam.schedule = @Timed()", "Timed.schedule = @Ramp()", "Timed.per = 'epoch'", "Timed.when = 'after'",
        "Ramp.of = 'lr'", "Ramp.start = 1e-2", "Ramp.end = 1e-3", "Ramp.steps = 4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARDS)
def test_a_shard_is_dealt_out_as_lab_does(native: Any, name: str) -> None:
    """Every so many-th example of a shuffled pass, and as many as in the other parts."""
    native.identical(*SHARDS[name])


@pytest.mark.parametrize("name", ["of both", "and windows"])
def test_a_training_on_a_shard_goes_on(native: Any, name: str) -> None:
    """From its own checkpoints and from Lab's."""
    native.goes_on(*SHARDS[name])


def test_a_loader_of_all_the_data_says_nothing_of_shards(native: Any) -> None:
    """Nor does the config."""
    conversion = native.converted()
    assert not [one.path for one in conversion.changes if "shard" in (one.after or "")]
