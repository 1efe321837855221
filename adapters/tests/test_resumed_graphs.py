"""No checkpoint holds a graph: what only its numbers are asked of goes on, a backward pass through it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab_adapters import outlined


def detached(h: Tensor) -> Tensor:
    """As truncated backpropagation through time does."""
    return h.detach()


def detached_in_place(h: Tensor) -> Tensor:
    """The same tensor, without its graph."""
    return h.detach_()


def by_data(h: Tensor) -> Tensor:
    """As code of 2018 does."""
    return h.data


def recurrent(repackage: Callable[[Tensor], Tensor]) -> list[str]:
    """A hidden state that goes from batch to batch, and a sum of losses that is printed."""
    torch.manual_seed(0)
    cell = nn.RNNCell(2, 3)
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
    hidden, total, said = torch.zeros(4, 3), torch.zeros(()), []

    def training_step(x: Tensor) -> None:
        nonlocal hidden, total
        hidden = cell(x, repackage(hidden))
        loss = hidden.square().mean()
        total = total + loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        said.append(f"{loss.item().hex()} {total.item().hex()}")

    outlined.fit(training_step, torch.randn(6, 4, 2))
    return said


def by_pairs() -> list[str]:
    """A policy gradient's way: an update every second batch, by what both have said, kept in a list of the model's."""
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    saved: list[Tensor] = []
    said: list[str] = []

    def training_step(x: Tensor) -> None:
        saved.append(model(x).square().mean())
        if len(saved) == 2:
            optimizer.zero_grad()
            loss = torch.stack(saved).sum()
            loss.backward()
            optimizer.step()
            said.append(loss.item().hex())
            saved.clear()

    outlined.fit(training_step, torch.randn(6, 4, 2))
    return said


@pytest.mark.parametrize("repackage", [detached, detached_in_place, by_data], ids=lambda one: one.__name__)
def test_a_tensor_that_leaves_its_graph_before_it_is_used_goes_on(checkpoint: Any, repackage: Any) -> None:
    """And so does a sum of losses that nobody differentiates."""
    whole = checkpoint.written_at(3, lambda: recurrent(repackage))
    assert checkpoint.resumed(lambda: recurrent(repackage)) == whole
    assert len(set(whole)) == 6


def test_a_backward_pass_through_an_earlier_step_is_refused_by_name(checkpoint: Any) -> None:
    """It would end at the checkpoint, and the gradients would silently be others."""
    checkpoint.written_at(3, by_pairs)
    with pytest.raises(RuntimeError, match=r"a backward pass goes through saved, which was computed before the check"):
        checkpoint.resumed(by_pairs)


def test_where_nothing_waits_for_its_backward_pass_it_goes_on(checkpoint: Any) -> None:
    """The same training from a checkpoint behind its update."""
    whole = checkpoint.written_at(4, by_pairs)
    assert len(whole) == 3
    assert checkpoint.resumed(by_pairs) == whole


def test_a_tensor_that_was_there_before_the_loop_takes_part_in_a_graph_as_before(checkpoint: Any) -> None:
    """One that the loop changes in place by what the model says, and another function knows."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        memory, said = torch.zeros(2), []
        known = [memory]

        def training_step(x: Tensor) -> None:
            memory.detach_()
            memory[1:] += model(x).mean()
            optimizer.zero_grad()
            loss = (known[0].sum() - 1).square()
            loss.backward()
            optimizer.step()
            said.append(loss.item().hex())

        outlined.fit(training_step, torch.randn(6, 4, 2))
        return said

    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole
    assert len(set(whole)) == 6
