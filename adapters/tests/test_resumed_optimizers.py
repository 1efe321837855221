"""Optimizers of the program's own get all of their state back, also what their `state_dict` leaves out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from lab_adapters import outlined
from six_steps import resumes, trained


class Counting(torch.optim.Optimizer):
    """Its step grows smaller with a count that `state_dict` does not know."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {"lr": 0.1})
        self.t = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """p -= lr / t * grad."""
        self.t += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] / self.t * parameter.grad


class Sharp(torch.optim.Optimizer):
    """Takes over its inner optimizer's groups, whose momentum `state_dict` does not know (as public SAM does)."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {"rho": 0.05, "lr": 0.1, "momentum": 0.9})
        self.base_optimizer = torch.optim.SGD(self.param_groups, lr=0.1, momentum=0.9)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """The inner one's, at a rate that falls by this one's groups."""
        self.base_optimizer.step()
        for group in self.param_groups:
            group["lr"] *= 0.9


class StandIn(torch.optim.Optimizer):
    """Of torch's class by name alone: it has no groups, only an optimizer that it saves (as public OptimRegime)."""

    def __init__(self, params: Any) -> None:
        self.inner = torch.optim.Adam(params, lr=0.1)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """The inner one's."""
        self.inner.zero_grad(set_to_none)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """The inner one's."""
        self.inner.step()

    def state_dict(self) -> dict[str, Any]:
        """The inner one's."""
        return {"inner": self.inner.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inner one's."""
        self.inner.load_state_dict(state_dict["inner"])


class Averaging(torch.optim.Optimizer):
    """Takes over its inner optimizer's groups and state, and was never made by torch (as public EMA, Lookahead)."""

    def __init__(self, params: Any) -> None:
        self.inner = torch.optim.Adam(params, lr=0.1)
        self.param_groups, self.state = self.inner.param_groups, self.inner.state
        self.slow: Any = defaultdict(dict)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """The inner one's."""
        self.inner.zero_grad(set_to_none)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """The inner one's, towards averages that lie in its state and in this one's."""
        self.inner.step()
        for parameter in self.param_groups[0]["params"]:
            for state in (self.state[parameter], self.slow[parameter]):
                state["average"] = (state.get("average", parameter) + parameter) / 2
                parameter.copy_(state["average"])


class Wrapping:
    """No optimizer of torch's; saves its count and forgets the optimizer inside."""

    def __init__(self, params: Any) -> None:
        self.inner = torch.optim.Adam(params, lr=0.1)
        self.groups = self.inner.param_groups
        self.count = 0

    def zero_grad(self) -> None:
        """The inner one's."""
        self.inner.zero_grad()

    def step(self) -> None:
        """The inner one's, at a rate set through a name that the wrapper gave to its groups."""
        self.count += 1
        self.groups[0]["lr"] = 0.1 / self.count
        self.inner.step()

    def state_dict(self) -> dict[str, Any]:
        """All but the inner state."""
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The same."""
        self.count = state["count"]


class Halves:
    """Two optimizers in a list, none of which it saves."""

    def __init__(self, params: Any) -> None:
        self.all = [torch.optim.Adam([parameter], lr=0.1) for parameter in params]
        self.slow: dict[int, Tensor] = {}

    def zero_grad(self) -> None:
        """Of all."""
        for one in self.all:
            one.zero_grad()

    def step(self) -> None:
        """Of all, then half the way back to an average of its own."""
        for number, one in enumerate(self.all):
            one.step()
            (parameter,) = one.param_groups[0]["params"]
            slow = self.slow.setdefault(number, parameter.detach().clone())
            slow.lerp_(parameter.detach(), 0.5)
            parameter.data.copy_(slow)

    def state_dict(self) -> dict[str, Any]:
        """The averages."""
        return {"slow": self.slow}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The same."""
        self.slow = state["slow"]


class Trace(NamedTuple):
    """The state of a functional optimizer's momentum."""

    momentum: list[Tensor]
    count: int


class Nothing(NamedTuple):
    """Of a part without state."""


class Functional:
    """Keeps its state in named tuples, and a number of them inside one (as torchopt does)."""

    def __init__(self, params: Any) -> None:
        self.params = list(params)
        self.state: tuple[Any, ...] = (Trace([torch.zeros_like(one) for one in self.params], 0), Nothing())

    def zero_grad(self) -> None:
        """Of all parameters."""
        for one in self.params:
            one.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """With momentum, at a rate that falls."""
        momentum, count = self.state[0]
        momentum = [0.9 * old + one.grad for old, one in zip(momentum, self.params, strict=True)]
        for one, change in zip(self.params, momentum, strict=True):
            one -= 0.1 / (count + 1) * change
        self.state = (Trace(momentum, count + 1), Nothing())

    def state_dict(self) -> dict[str, Any]:
        """The named tuples as they are."""
        return {"states": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The same."""
        self.state = state["states"]


@pytest.mark.parametrize("kind", [Counting, Sharp, StandIn, Averaging, Wrapping, Halves, Functional])
def test_what_a_state_dict_leaves_out_is_resumed_too(checkpoint: Any, kind: Callable[[Any], Any]) -> None:
    """Counts, momentum of an inner optimizer, and groups that two of them share."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 3)
        return trained(lambda: 1.0, model, kind(model.parameters()))

    resumes(checkpoint, run)


def test_an_average_that_saves_itself_is_in_the_file_once(checkpoint: Any) -> None:
    """Its attribute holds the tensors that its `state_dict` gives: they are not written twice."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = torch.nn.Linear(300, 300)
        halves = Halves(model.parameters())

        def training_step(x: Tensor) -> None:
            halves.zero_grad()
            model(x).square().mean().backward()
            halves.step()

        outlined.fit(training_step, torch.randn(6, 4, 300))
        return [value.sum().item().hex() for value in model.state_dict().values()]

    whole = checkpoint.written_at(3, run)
    # Weights, the two moments of Adam, gradients and the average: five of 90,300 values of 4 bytes.
    assert checkpoint.file.stat().st_size < 5.3 * 90_300 * 4
    assert checkpoint.resumed(run) == whole


def test_a_parameter_of_no_model_stays_the_optimizers_in_a_later_call(checkpoint: Any) -> None:
    """The call of the second epoch has a name of its own for it: it was a new tensor there, which nothing trained."""

    @outlined.loop
    def epoch(model: Any, scale: Tensor, optimizer: Any, said: list[str]) -> Any:
        def training_step(x: Tensor) -> None:
            optimizer.zero_grad()
            (model(x).square().mean() * scale.exp()).backward()
            optimizer.step()
            said.append(scale.item().hex())

        yield from outlined.steps(training_step, torch.randn(3, 4, 2))

    def run() -> list[str]:
        torch.manual_seed(0)
        model, scale, said = torch.nn.Linear(2, 3), torch.nn.Parameter(torch.zeros(())), []
        optimizer = torch.optim.SGD([*model.parameters(), scale], lr=0.1, momentum=0.9)

        def epochs(number: int) -> Any:
            yield from outlined.call(epoch, model, scale, optimizer, said)

        outlined.fit(epochs, range(2))
        return said

    whole = checkpoint.written_at(4, run)
    assert checkpoint.resumed(run)[-2:] == whole[-2:]
    assert len(set(whole)) == 6


@pytest.mark.parametrize("kind", ["optimizer", "loader", "scaler"])
def test_what_a_program_gives_to_torchs_own_objects_is_resumed(checkpoint: Any, kind: str) -> None:
    """`optimizer.calls += 1`: no `state_dict` has it, and the count began anew."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 3)
        given: dict[str, Any] = {
            "optimizer": torch.optim.Adam(model.parameters(), lr=0.1),
            "loader": torch.utils.data.DataLoader([0, 1]),
            "scaler": torch.amp.GradScaler("cpu", enabled=False),
        }
        there = given[kind]

        def factor() -> float:
            there.calls = getattr(there, "calls", 0) + 1
            return 1 / there.calls

        return trained(factor, model, given["optimizer"])

    resumes(checkpoint, run)


class WithTeacher(torch.optim.SGD):
    """Has a teacher's momentum in its state, from the day on that it has a teacher."""

    teacher: Any = None

    def state_dict(self) -> dict[str, Any]:
        """Torch's, and the teacher's."""
        return super().state_dict() | ({"teacher": self.teacher} if self.teacher is not None else {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Likewise."""
        if self.teacher is not None:
            self.teacher = state_dict["teacher"]
        super().load_state_dict({name: one for name, one in state_dict.items() if name != "teacher"})


def test_a_state_that_lacks_what_its_optimizer_asks_for_is_refused_in_words(checkpoint: Any) -> None:
    """It ended in a bare `KeyError: 'teacher'` from inside the optimizer."""

    def run(teacher: float | None) -> list[str]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 3)
        optimizer = WithTeacher(model.parameters(), lr=0.1)
        optimizer.teacher = teacher
        return trained(lambda: 1.0, model, optimizer)

    checkpoint.written_at(3, lambda: run(None))
    with pytest.raises(ValueError, match=r"resume: optimizer: expected a state that WithTeacher can load.*'teacher'"):
        checkpoint.resumed(lambda: run(0.5))


def test_a_step_that_a_schedule_counts_leads_to_nothing_of_torchs(checkpoint: Any) -> None:
    """Torch wraps it twice, and its table of hooks has ours: the resume was refused for the number of a hook."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 3)
        optimizer = Counting(model.parameters())
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

        def factor() -> float:
            if optimizer.t:
                schedule.step()
            return 1.0

        return trained(factor, model, optimizer)

    resumes(checkpoint, run)
