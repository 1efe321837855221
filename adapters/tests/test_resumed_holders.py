"""Whatever kind of object holds a model and its optimizer, they are resumed."""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch

from lab_adapters import outlined


@attrs.define
class Slotted:
    """Keeps them in slots, as attrs makes them, and steps by a method."""

    model: Any
    optimizer: Any

    def step(self) -> str:
        """Return the loss."""
        return stepped(self.model, self.optimizer)


def stepped(model: Any, optimizer: Any) -> str:
    """One step; the loss."""
    loss = model(torch.ones(1, 2)).square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach()).hex()


def of_defaults(model: Any, optimizer: Any) -> Callable[[], str]:
    """A function that has them as its defaults."""

    def step(model: Any = model, *, optimizer: Any = optimizer) -> str:
        return stepped(model, optimizer)

    return step


def of_a_class(model: Any, optimizer: Any) -> Callable[[], str]:
    """A class that has them itself."""

    class Known:
        held = (model, optimizer)

    return lambda: stepped(*Known.held)


def of_a_deque(model: Any, optimizer: Any) -> Callable[[], str]:
    """A queue of two."""
    held = deque([model, optimizer])
    return lambda: stepped(*held)


def of_a_view(model: Any, optimizer: Any) -> Callable[[], str]:
    """A dictionary that cannot be written to."""
    held = types.MappingProxyType({"model": model, "optimizer": optimizer})
    return lambda: stepped(**held)


def of_sets(model: Any, optimizer: Any) -> Callable[[], str]:
    """A set of one model, and one of one optimizer."""
    models, optimizers = {model}, frozenset([optimizer])
    return lambda: stepped(*models, *optimizers)


@pytest.mark.parametrize(
    "held",
    [
        lambda *both: Slotted(*both).step,
        lambda *both: functools.partial(stepped, *both),
        of_defaults,
        of_a_class,
        of_a_deque,
        of_a_view,
        of_sets,
    ],
)
def test_a_model_and_its_optimizer_resume_bitwise(checkpoint: Any, held: Any) -> None:
    """They began anew, silently."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 1)
        step = held(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
        said: list[str] = []

        def training_step(number: int) -> None:
            said.append(step())

        outlined.fit(training_step, range(6))
        return said

    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole
    assert len(set(whole)) == 6
