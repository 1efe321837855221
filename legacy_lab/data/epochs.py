"""Anything that can be iterated, dealt out epoch after epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import gin
import torch

from legacy_lab.data.move import plain, to_device
from legacy_lab.train.checkpoint import generator_states, set_generator_states
from legacy_lab.train.parts import load_state_of, state_of

_END = object()


@gin.configurable
class Epochs:
    """`for batch in batches`, over and over, one batch at a time.

    Each epoch is iterated to its very end, so that a loader that shuffles anew when it is exhausted does so; the
    next one begins when its first batch is asked for. What has a length ends its epoch with that many batches; what
    has none is asked for one batch more to know.

    A resumed epoch begins anew from the generators as they stood, and is gone through up to where it was. The
    generator of `batches`, if it has one, and its `state()`, if it has that, are taken along; the batch that was
    asked for ahead is kept as it is, so that of what has no length it must be made of mappings, lists and tensors.
    """

    def __init__(self, batches: Iterable[Any], device: str = "cpu") -> None:
        self.batches, self.device = batches, device
        self.size: int | None = len(batches) if isinstance(batches, Sized) else None
        self.epoch = 0
        self.epoch_ended = False
        self.position = 0
        self._iterator: Iterator[Any] | None = None
        self._ahead: Any = _END
        self._began: dict[str, Any] | None = None

    def next_batch(self) -> Any:
        """The next batch, on the device. After the last of an epoch `epoch_ended` is True and `epoch` one higher."""
        if self.epoch_ended:
            self.finish()
        if self._iterator is None:
            self._begin()
        assert self._iterator is not None
        batch = self._ahead if self.size is None else next(self._iterator, _END)
        if batch is _END:
            raise ValueError(f"Epochs.batches: expected {self.size or 'some'} batches, found {self.position}")
        self.position += 1
        if self.size is None:
            self._ahead = next(self._iterator, _END)
        if self.position == self.size or (self.size is None and self._ahead is _END):
            self.epoch_ended = True
            self.epoch += 1
        return to_device(batch, self.device)

    def finish(self) -> None:
        """Let the exhausted iterator do what it does at its end."""
        if self._iterator is not None:
            next(self._iterator, None)
        self._iterator, self.position, self.epoch_ended = None, 0, False

    def state(self) -> dict[str, Any]:
        """Where the loader stands, and what its epoch began with."""
        return {
            "epoch": self.epoch,
            "epoch_ended": self.epoch_ended,
            "position": self.position,
            "began": self._began if self._iterator is not None else None,
            "own": None if self._generator() is None else self._generator().get_state(),
            "batches": state_of(self.batches),
            "ahead": None if self._ahead is _END else plain(self._ahead),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. Moves the global generators; a trainer restores them afterwards."""
        self._iterator, self.position = None, 0
        if state["began"] is not None:
            set_generator_states(state["began"]["global"])
            if self._generator() is not None:
                self._generator().set_state(state["began"]["own"])
            load_state_of(self.batches, state["began"]["batches"])
            self._begin()
            self.epoch_ended = False
            for _ in range(state["position"]):
                self.next_batch()
            self._began = state["began"]
            if state["ahead"] is not None:
                self._ahead = state["ahead"]
        load_state_of(self.batches, state["batches"])
        if self._generator() is not None:
            self._generator().set_state(state["own"])
        self.epoch, self.epoch_ended, self.position = state["epoch"], state["epoch_ended"], state["position"]

    def _begin(self) -> None:
        own = None if self._generator() is None else self._generator().get_state()
        self._began = {"global": generator_states(), "own": own, "batches": state_of(self.batches)}
        self._iterator = iter(self.batches)
        if self.size is None:
            self._ahead = next(self._iterator, _END)

    def _generator(self) -> Any:
        found = getattr(self.batches, "generator", None)
        return found if isinstance(found, torch.Generator) else None
