"""Legacy loaders under Lightning: no batch passes through Lightning.

Lightning fetches a batch before it is wanted, moves it to the device again, replaces samplers and may call `iter`
twice. Each of these changes what an endless or self-sharding loader draws. So Lightning gets tokens to count, and
the step asks the legacy loader itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from lab_adapters.protocols import Batch, LegacyLoader, LoaderAssumptions, require


class TokenLoader:
    """What Lightning iterates over: the numbers 0 … steps-1, one a legacy step.

    It has a length, so that Lightning does not prefetch, and a state (empty: the position is Lightning's own batch
    counter), so that Lightning does not warn about a loader that cannot resume.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[int]:
        token = 0
        while token < self.steps:  # asked anew each time, since a hook may move the end
            yield token
            token += 1

    def lengthen(self, steps: int) -> None:
        """Let the iteration that is under way go on up to `steps`."""
        self.steps = steps

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the legacy loader's own state lies in the legacy part of the checkpoint."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to load."""


@attrs.frozen
class LoaderAdapter:
    """A legacy loader with its assumptions, as `BlockModule` uses it.

    Raises `TypeError` for an object that cannot play the role, `ValueError` for an assumption that no adapter serves.
    """

    legacy: LegacyLoader
    assumptions: LoaderAssumptions = attrs.field(factory=LoaderAssumptions)
    path: str = "loader"

    def __attrs_post_init__(self) -> None:
        require(LegacyLoader, self.legacy, self.path)
        if not self.assumptions.endless:
            raise ValueError(
                f"{self.path}: expected an endless loader, found endless=False; restart it in next_batch()"
            )

    @property
    def epoch_ended(self) -> bool:
        """Whether the batch that was dealt out last was an epoch's last; False for a loader that knows no epochs."""
        return bool(getattr(self.legacy, "epoch_ended", False))

    def next_batch(self, device: Any = None) -> Batch:
        """The next batch, moved to `device` (where one is given) if the loader does not do so itself."""
        try:
            batch = self.legacy.next_batch()
        except StopIteration as ended:  # Lightning would take it for the end of the training, and say nothing
            raise RuntimeError(
                f"{self.path}: expected an endless loader, found that {type(self.legacy).__qualname__}.next_batch "
                "raised StopIteration; restart it in next_batch()"
            ) from ended
        if self.assumptions.moves_batches or device is None:
            return batch
        from lightning.fabric.utilities.apply_func import move_data_to_device

        return move_data_to_device(batch, device)
