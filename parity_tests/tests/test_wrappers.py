"""What a step inside another one must not lose: own changes of a wrapper, partial optimizers, calls that fail."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lab_parity
from lab_parity.digest import digest_tensor
from lab_parity.trace import Step


def steps_of(path: Path) -> list[Step]:
    """The steps of a trace."""
    return [item for item in lab_parity.read(path).steps() if isinstance(item, Step)]


def digest_in(step: Step, phase: str, name: str) -> bytes:
    """Of one tensor."""
    keys = [(key.phase, key.name, key.field) for key in step.keys]
    found: bytes = step.digests[keys.index((phase, name, ""))].tobytes()
    return found


def model() -> nn.Sequential:
    """(B, 3) -> (B, 1)."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def train(path: Path, make: Callable[[nn.Sequential], Any], before: Callable[[Any], Any] = lambda net: None) -> None:
    """Three plain steps of the optimizer that is made, recorded."""
    net = model()
    optimizer = make(net)
    with lab_parity.record(path):
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(5, 3)).square().mean().backward()
            before(net)
            optimizer.step()


def halve(parameters: Any) -> None:
    """The gradients, by hand."""
    for parameter in parameters:
        parameter.grad *= 0.5


class Halving(torch.optim.Adagrad):
    """Changes the gradients inside its step; nothing has an instance of its parent's class."""

    def step(self, closure: Any = None) -> Any:
        """With half of them."""
        halve(self.param_groups[0]["params"])
        return super().step(closure)


class Plain(torch.optim.Adagrad):
    """Its parent under another name."""


def test_gradients_that_a_subclass_changes_in_its_step_are_those_that_its_parents_step_uses(tmp_path: Path) -> None:
    """They equal those that are changed before the step, and the classes are as they were afterwards."""
    before = vars(torch.optim.Adagrad)["step"]
    train(tmp_path / "inside", lambda net: Halving(net.parameters(), lr=0.1))
    train(tmp_path / "before", lambda net: Plain(net.parameters(), lr=0.1), lambda net: halve(net.parameters()))
    verdict = lab_parity.compare(tmp_path / "inside", tmp_path / "before")
    assert (verdict.rung, verdict.reasons) == ("identical", ()), verdict.first
    assert vars(torch.optim.Adagrad)["step"] is before


class Lookahead(torch.optim.Optimizer):
    """Slow weights in its own state; they pull the parameters behind the inner step."""

    def __init__(self, net: nn.Module, alpha: float = 0.5) -> None:
        super().__init__(net.parameters(), {"alpha": alpha})
        self.inner = torch.optim.Adam(net.parameters(), lr=0.1)
        for parameter in net.parameters():
            self.state[parameter]["slow"] = parameter.detach().clone()

    def step(self, closure: Any = None) -> Any:
        """The inner one's, and the pull."""
        self.inner.step()
        with torch.no_grad():
            for parameter, state in self.state.items():
                state["slow"].lerp_(parameter, self.param_groups[0]["alpha"])
                parameter.copy_(state["slow"])


def test_what_a_wrapper_does_behind_the_step_inside_is_its_steps(tmp_path: Path) -> None:
    """Its settings, its state and the parameters that it leaves; another alpha is found where it acts."""
    for name in "ab":
        train(tmp_path / name, Lookahead)
    train(tmp_path / "c", lambda net: Lookahead(net, 0.6))
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"
    fields = {key.field for key in steps_of(tmp_path / "a")[0].keys if key.phase == "optimizer"}
    assert fields == {"hyper", "step", "exp_avg", "exp_avg_sq", "around.slow"}
    first = lab_parity.compare(tmp_path / "a", tmp_path / "c").first
    assert first is not None
    assert (first.step, first.phase, first.what) == (0, "optimizer", "alpha is 0.5 against 0.6")


def test_the_pull_of_a_wrapper_is_missed_beside_the_plain_optimizer(tmp_path: Path) -> None:
    """Its state alone, which the plain one has not, is no difference; the parameters are."""
    train(tmp_path / "a", Lookahead)
    train(tmp_path / "b", lambda net: torch.optim.Adam(net.parameters(), lr=0.1))
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert verdict.coverage.unmatched == ()
    assert verdict.first is not None
    assert (verdict.first.step, verdict.first.phase) == (0, "param")
    assert any("state slow of a wrapper" in note for note in verdict.notes)


def test_a_schedule_of_the_optimizer_inside_is_seen(tmp_path: Path) -> None:
    """The wrapper has none; a wrong factor is found as a schedule's."""

    class Scheduled(Lookahead):
        """Its inner optimizer's rate falls."""

        def __init__(self, net: nn.Module, gamma: float) -> None:
            super().__init__(net)
            self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.inner, gamma)

        def step(self, closure: Any = None) -> Any:
            """Behind it the schedule's."""
            super().step()
            self.schedule.step()

    for name, gamma in (("a", 0.9), ("b", 0.8)):
        train(tmp_path / name, lambda net, gamma=gamma: Scheduled(net, gamma))  # type: ignore[misc]
    first = lab_parity.compare(tmp_path / "a", tmp_path / "b").first
    assert first is not None
    assert (first.step, first.phase, first.tensor) == (1, "schedule", "ExponentialLR lr")


class Fed(torch.optim.SGD):
    """Its step takes the model."""

    def step(self, net: Any) -> Any:  # type: ignore[override]
        """Of those of its parameters that train."""
        assert [parameter for parameter in net.parameters() if parameter.requires_grad]
        return super().step()


def test_a_module_that_a_step_is_given_is_no_closure(tmp_path: Path) -> None:
    """It arrives as it is."""
    net = model()
    optimizer = Fed(net.parameters(), lr=0.1)
    with lab_parity.record(tmp_path / "a"):
        net(torch.randn(5, 3)).square().mean().backward()
        optimizer.step(net)
    assert len(steps_of(tmp_path / "a")) == 1


class Chained(torch.optim.Optimizer):
    """Two optimizers, each of some of its parameters, whose gradients are gone behind their steps."""

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__(net.parameters(), {})
        self.parts = [torch.optim.SGD(net[0].parameters(), lr=0.1), torch.optim.Adam(net[2].parameters(), lr=0.1)]

    def step(self, closure: Any = None) -> Any:
        """Both."""
        for part in self.parts:
            part.step()
            part.zero_grad()


def test_optimizers_of_some_of_the_parameters_each_are_one_step_with_all_gradients(tmp_path: Path) -> None:
    """Those that the first one used are not lost when the second one begins."""
    gradients: list[bytes] = []

    def keep(net: nn.Sequential) -> None:
        gradients.append(digest_tensor(net[0].weight.grad))  # type: ignore[arg-type]

    train(tmp_path / "a", Chained, keep)
    steps = steps_of(tmp_path / "a")
    assert [digest_in(step, "grad", "0.weight") for step in steps] == gradients
    assert {key.field for key in steps[0].keys if key.name == "2.weight"} >= {"exp_avg"}


class Raising(torch.optim.Optimizer):
    """Fails once its inner step has been made."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net.parameters(), {})
        self.inner = torch.optim.SGD(net.parameters(), lr=0.1)

    def step(self, closure: Any = None) -> Any:
        """Fail."""
        raise ArithmeticError


def test_a_step_that_failed_swallows_no_later_one(tmp_path: Path) -> None:
    """The program goes on with the optimizer that was inside: its steps are steps."""
    net = model()
    optimizer = Raising(net)
    with lab_parity.record(tmp_path / "a"):
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(5, 3)).square().mean().backward()
            with contextlib.suppress(ArithmeticError):
                optimizer.step()
            optimizer.inner.step()
    assert len(steps_of(tmp_path / "a")) == 3


class Silent(torch.optim.Optimizer):
    """Tells no settings, or some by names of its own."""

    def __init__(self, net: nn.Module, told: dict[str, Any]) -> None:
        super().__init__(net.parameters(), told)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Torch's own way."""
        for parameter in self.param_groups[0]["params"]:
            parameter.add_(parameter.grad, alpha=-0.1)


@pytest.mark.parametrize("told", [{}, {"eta": 0.1}])
def test_settings_that_have_no_name_in_common_are_a_note(tmp_path: Path, told: dict[str, Any]) -> None:
    """What comes of them is compared; two optimizers that tell other values under one name still part."""
    train(tmp_path / "a", lambda net: Silent(net, told))
    train(tmp_path / "b", lambda net: torch.optim.SGD(net.parameters(), lr=0.1))
    train(tmp_path / "c", lambda net: Silent(net, {"lr": 0.2}))
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert (verdict.rung, verdict.reasons) == ("identical", ()), verdict.first
    assert any("hyperparameter lr exists on one side only" in note for note in verdict.notes)
    assert lab_parity.compare(tmp_path / "c", tmp_path / "b").rung == "diverged"


def test_an_update_by_hand_that_failed_swallows_no_later_step(tmp_path: Path) -> None:
    """As of a marked one whose loss is not finite."""
    net = model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    update = lab_parity.Update(net.parameters(), lr=0.1)
    with lab_parity.record(tmp_path / "a"):
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(5, 3)).square().mean().backward()
            with contextlib.suppress(ArithmeticError), update:
                raise ArithmeticError
            optimizer.step()
    assert len(steps_of(tmp_path / "a")) == 3


@pytest.mark.parametrize("kind", ["by hand", "taken back"])
def test_a_change_before_the_first_step_of_an_optimizer_is_a_step_unless_it_is_taken_back(
    tmp_path: Path, kind: str
) -> None:
    """Two updates by hand and two of an optimizer's; or two of the optimizer's, each with two backward passes."""
    net = model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def differentiate() -> None:
        net.zero_grad()
        net(torch.randn(5, 3)).square().mean().backward()

    with lab_parity.record(tmp_path / "a", scope=lab_parity.Scope(ledger=True)):
        for _ in range(2):
            differentiate()
            before = [parameter.detach().clone() for parameter in net.parameters()]
            for parameter in net.parameters():
                assert parameter.grad is not None
                parameter.data.add_(parameter.grad, alpha=0.1)
            if kind == "taken back":
                differentiate()
                for parameter, value in zip(net.parameters(), before, strict=True):
                    parameter.data.copy_(value)
                optimizer.step()
        for _ in range(2 if kind == "by hand" else 0):
            differentiate()
            optimizer.step()
    steps = steps_of(tmp_path / "a")
    expected = [("opt0", 1), ("opt0", 1), ("opt1", 1), ("opt1", 1)] if kind == "by hand" else [("opt0", 2)] * 2
    assert [(step.optimizer, step.micro_steps) for step in steps] == expected
    assert digest_in(steps[0], "config", "0.weight") == digest_tensor(model()[0].weight)
    draws = [[drawn.micro for drawn in step.ledger if drawn.what == "torch.randn"] for step in steps]
    assert kind == "by hand" or draws == [[0, 1]] * 2
    calls = sum(drawn.calls for step in steps for drawn in step.ledger if drawn.what == "torch.randn")
    assert kind == "by hand" or calls == 4
