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


def test_a_model_that_is_called_once_more_is_told_as_that(tmp_path: Path) -> None:
    """Its calls were paired by their numbers: the outputs of a real batch stood against those of a made one."""
    for name in "ab":
        torch.manual_seed(0)
        both = nn.ModuleDict({"critic": nn.Linear(4, 1), "other": nn.Linear(4, 1)})
        critic, other = both.values()
        real, made = torch.randn(8, 4), torch.randn(8, 4)
        optimizer = torch.optim.SGD(both.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name, capture=range(1)):
            loss = critic(real).square().mean()
            if name == "b":
                loss = loss * 0.9 - 0.1 * critic(real).mean()
            (loss + critic(made).mean() + other(made).mean()).backward()
            optimizer.step()
    found = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert found is not None
    assert (
        "is called 2 times before this backward pass in the legacy run, 3 times in the migrated one" in found.sentence
    )


def test_equal_gradients_of_another_loss_are_said_to_be_equal(tmp_path: Path) -> None:
    """They were "no multiple": of a loss that is scaled by the gradient that backward() is given."""
    for name in "ab":
        torch.manual_seed(0)
        net = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name, capture=range(1)):
            loss = net(torch.randn(8, 4)).square().mean()
            if name == "a":
                (loss / 2).backward()
            else:
                loss.backward(gradient=torch.tensor(0.5))
            optimizer.step()
    found = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert found is not None
    assert "all gradients agree" in found.sentence


def test_a_rate_of_next_to_nothing_freezes_nothing(tmp_path: Path) -> None:
    """A warm-up from 1e-9 left some parameters as they were by rounding; the schedule was not the first cause."""
    for name, rate in (("a", 1e-3), ("b", 1e-12)):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
        optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
        with lab_parity.record(tmp_path / name, capture=range(1)):
            net(torch.randn(8, 4)).square().sum().backward()
            optimizer.step()
    found = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert found is not None
    assert (found.name, found.setting) == ("lr", "lr"), found.sentence


def test_labels_that_differ_beside_equal_samples_are_named(tmp_path: Path) -> None:
    """It was said that the batch holds 0 samples that the other one does not."""

    class Labelled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.classes = nn.Linear(4, 4), nn.Embedding(3, 4)

        def forward(self, x: Tensor, label: Tensor) -> Tensor:
            return (self.layer(x) * self.classes(label)).square().mean()

    for name, labels in (("a", [0, 1, 2, 2]), ("b", [0, 2, 2, 2])):
        torch.manual_seed(0)
        net = Labelled()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name, capture=range(1)):
            net(torch.randn(4, 4), torch.tensor(labels)).backward()
            optimizer.step()
    found = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert found is not None
    assert found.name == "batches"
    assert "differs in 1 of 4 samples" in found.sentence


def test_a_step_that_one_side_does_not_take_has_no_other_state(tmp_path: Path) -> None:
    """A training that is one step longer was said to have a momentum which the other one has not."""
    for name, steps in (("a", 2), ("b", 3)):
        torch.manual_seed(0)
        net = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        with lab_parity.record(tmp_path / name, capture=range(3)):
            for _ in range(steps):
                optimizer.zero_grad()
                net(torch.randn(8, 4)).square().mean().backward()
                optimizer.step()
    found = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert found is not None
    assert found.name == "steps", found.sentence
