"""What comes first: of calls of one module, of micro-steps that are divided, of numbers drawn into another shape."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

import lab_parity
from lab_parity.drill import drill_down


class Net(nn.Module):
    """One dropout that is called twice, with a layer in between, as in a transformer's block."""

    def __init__(self, bend: float = 1.0) -> None:
        super().__init__()
        self.bend = lambda x: x * bend  # nothing that is read from a module
        self.drop = nn.Dropout(0.1)
        self.up, self.down, self.last = nn.Linear(4, 6), nn.Linear(6, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 4) -> (B, 1)."""
        made = self.bend(self.up(self.drop(x)))
        final: Tensor = self.last(self.drop(self.down(made)))
        return final


def train(path: Path, bend: float = 1.0, last: float = 0.5) -> Path:
    """Two steps of two micro-steps."""
    torch.manual_seed(0)
    net = Net(bend)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(2)):
        for _ in range(2):
            for share in (0.5, last):
                (net(torch.randn(8, 4)).square().mean() * share).backward()
            optimizer.step()
            optimizer.zero_grad()
    return path


def test_the_first_module_is_the_first_in_the_order_of_calls(tmp_path: Path) -> None:
    """It was the dropout, whose first call agrees and whose second one comes after the layer that differs."""
    found = lab_parity.diagnose(train(tmp_path / "a"), train(tmp_path / "b", bend=1.1))
    assert found is not None
    assert (found.name, found.affected) == ("module", ("down",)), found.sentence


def test_a_micro_step_that_alone_is_not_divided_is_told_as_that(tmp_path: Path) -> None:
    """The sum was said to be taken instead of the mean."""
    found = lab_parity.diagnose(train(tmp_path / "a"), train(tmp_path / "b", last=1.0))
    assert found is not None
    assert found.name == "accumulation"
    assert found.sentence == (
        "The loss of micro-step 1 is 2 times the legacy one, those before it agree: it is not divided by the 2 "
        "micro-steps."
    )


def test_a_draw_into_another_shape_is_told_by_its_shape(tmp_path: Path) -> None:
    """It was "the same inputs and settings and another result: kernel, threads or nondeterminism"."""
    for name, kind in (("a", nn.Dropout2d), ("b", nn.Dropout)):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(2, 3, 1), kind(0.5))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name, operations=0):
            net(torch.randn(2, 2, 4, 4)).square().mean().backward()
            optimizer.step()
    a, b = (lab_parity.read(tmp_path / name) for name in "ab")
    first = lab_parity.compare(a, b).first
    assert first is not None
    found = drill_down((a, b), first)
    assert found is not None
    assert "shape of self [2, 3, 1, 1] against [2, 3, 4, 4]" in found.what
