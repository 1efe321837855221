"""The roles of legacy objects, and what each takes for granted that Lightning does not.

A role is a `Protocol`. What it takes for granted is its *assumptions*: an attrs class whose fields drive the
adapter, are printed in reports and can be found out by a probe. Nothing here knows a particular framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import attrs
import torch
from torch import Tensor, nn

#: What a checkpoint may hold beside tensors.
PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)

#: Metrics of one step, by name: tensors of shape `()`.
Metrics = dict[str, Tensor]

#: A batch as a legacy loader hands it over; this house never looks inside.
Batch = Any


@runtime_checkable
class Stateful(Protocol):
    """Anything that a bitwise resume must carry; the state is plain numbers, strings and tensors."""

    def state(self) -> dict[str, Any]:
        """Where the object stands."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


@runtime_checkable
class LegacyLoader(Stateful, Protocol):
    """A loader that is asked for its next batch."""

    def next_batch(self) -> Batch:
        """The next batch."""
        ...


@attrs.frozen
class LoaderAssumptions:
    """What a legacy loader takes for granted."""

    moves_batches: bool = True  #: hands over batches that are on the device already
    endless: bool = True  #: never raises StopIteration
    shards_itself: bool = True  #: deals out its rank's share; Lightning must not add a sampler


@runtime_checkable
class LegacyOptimizer(Stateful, Protocol):
    """An optimizer whose `step(loss)` owns all from backward to update."""

    groups: list[dict[str, Any]]

    def step(self, loss: Tensor) -> bool:
        """Take the loss of a micro-batch; True when parameters changed."""
        ...


@attrs.frozen
class OptimizerAssumptions:
    """What a legacy optimizer takes for granted."""

    owns_backward: bool = True  #: calls `backward` itself
    owns_accumulation: bool = True  #: decides at which micro-step to update
    owns_clipping: bool = True  #: clips before its update
    zeroes_to_zeros: bool = True  #: leaves gradients as zeros, not None


class LegacySchedule(Protocol):
    """From the number of updates done to the hyperparameters of the next one."""

    def __call__(self, step: int) -> dict[str, Any]:
        """E.g. `{"lr": 1e-3}`."""
        ...


#: From a model and a batch to a loss of shape `()` and metrics.
LegacyObjective = Callable[[nn.Module, Batch], tuple[Tensor, Metrics]]


#: What one step is made of, called with whatever stands where the legacy trainer stood; returns its last metrics.
LegacyStepper = Callable[[Any], Metrics]


class LegacyPrecision(Protocol):
    """The precision in which losses are computed."""

    def context(self) -> AbstractContextManager[object]:
        """Around the objective."""
        ...


@runtime_checkable
class LegacyEMA(Stateful, Protocol):
    """An average of the parameters, updated after the step and swapped in for evaluation."""

    def update(self, model: nn.Module) -> None:
        """Take the parameters in."""
        ...

    def swapped(self, model: nn.Module) -> AbstractContextManager[None]:
        """The model with averaged parameters while the context lasts."""
        ...


class LegacyHook(Protocol):
    """A project's own code between steps; `owner` is whatever stands where the legacy trainer stood."""

    def before_train(self, owner: Any) -> None:
        """Once, before the first step."""
        ...

    def before_step(self, owner: Any) -> None:
        """Before the first batch of a step."""
        ...

    def after_step(self, owner: Any, metrics: Metrics) -> None:
        """After the update."""
        ...

    def after_eval(self, owner: Any, metrics: dict[str, float]) -> None:
        """After an evaluation."""
        ...

    def after_train(self, owner: Any) -> None:
        """Once, after the last step."""
        ...


class LegacyTracker(Protocol):
    """Writes a run's config and metrics somewhere."""

    def start(self, config: str) -> None:
        """Open the run."""
        ...

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Metrics under a step."""
        ...

    def close(self) -> None:
        """Close the run."""
        ...


class LegacyTraining(Stateful, Protocol):
    """A whole legacy trainer, cut at its loop: Lightning calls these where the loop stood."""

    model: nn.Module
    optimizer: Any
    steps: int
    step: int

    def before_train(self) -> None:
        """What the legacy loop does once before its first step."""
        ...

    def train_step(self) -> Metrics:
        """One legacy optimizer step, verbatim."""
        ...

    def after_step(self, metrics: Metrics) -> None:
        """What the legacy loop does between two steps."""
        ...

    def after_train(self) -> None:
        """What the legacy loop does once after its last step."""
        ...


class LegacyCheckpoint(Protocol):
    """A legacy checkpoint format: recognises its files and reads them as a `LegacyTraining` state."""

    def recognises(self, path: str) -> bool:
        """Whether the file is of this format; reads no more of it than needed."""
        ...

    def read(self, path: str) -> dict[str, Any]:
        """The state, with at least `step`, `model` (a state dict) and `optimizer`."""
        ...


def require(role: type, found: object, path: str) -> None:
    """Raise `TypeError`, naming every missing member, unless `found` can play `role`."""
    missing = [name for name in _members(role) if not hasattr(found, name)]
    if missing:
        raise TypeError(
            f"{path}: expected a {role.__name__}, found {type(found).__qualname__} without {', '.join(missing)}; "
            "add them, or wrap the object in a small class that has them"
        )


def require_plain(state: Any, path: str) -> None:
    """Raise `TypeError`, naming the place, for what a checkpoint that is read without unpickling code cannot hold."""
    if isinstance(state, Mapping):
        for key, value in state.items():
            require_plain(value, f"{path}[{key!r}]")
    elif type(state) in (list, tuple, torch.Size):
        for number, value in enumerate(state):
            require_plain(value, f"{path}[{number}]")
    elif not isinstance(state, Tensor) and type(state) not in PLAIN:
        raise TypeError(
            f"{path}: expected plain numbers, strings and tensors, found {type(state).__module__}."
            f"{type(state).__qualname__}; convert it in state(), e.g. by int(…) or torch.as_tensor(…)"
        )


def _members(role: type) -> Sequence[str]:
    names: set[str] = set()
    for cls in role.__mro__:
        if cls in (object, Protocol) or not getattr(cls, "_is_protocol", False):
            continue
        names |= set(getattr(cls, "__annotations__", {}))
        names |= {name for name, value in vars(cls).items() if callable(value) and not name.startswith("_")}
    return sorted(names)
