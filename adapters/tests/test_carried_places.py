"""Wherever a program keeps what a step changes: a resumed training finds it again."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from lab_adapters import outlined
from six_steps import Factor, resumes, trained


@pytest.fixture
def state() -> Iterator[types.ModuleType]:
    """A module of the program's that counts, in a name that only its own function uses."""
    module = types.ModuleType("state_of_the_program")
    module.__file__ = "/program/state_of_the_program.py"
    code = "step = 0\nhidden = 0\ndef hide():\n    global hidden\n    hidden += 1\n    return 1 + hidden / 10\n"
    exec(compile(code, module.__file__, "exec"), vars(module))
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_a_name_of_another_module_is_carried(checkpoint: Any, state: Any) -> None:
    """Counted up from here, or by a function of that module."""

    def run() -> list[str]:
        state.step = state.hidden = 0

        def factor() -> float:
            state.step += 1
            return float(state.step + state.hide())

        return trained(factor)

    resumes(checkpoint, run)


class Stepping:
    """Its method counts by a name of the function around the class."""

    @staticmethod
    def make() -> Factor:
        """A factor."""
        count = 0

        class Inner:
            def factor(self) -> float:
                nonlocal count
                count += 1
                return 1 + count / 10

        inner = Inner()
        return lambda: inner.factor()


def attributes_of_a_function() -> Factor:
    """Its own attribute, a default that it changes, a default by keyword."""

    def factor(seen: list[int] = [0], *, more: dict[str, int] = {"n": 0}) -> float:  # noqa: B006 - what programs do
        factor.calls += 1  # type: ignore[attr-defined]
        seen[0] += 1
        more["n"] += 1
        return 1 + factor.calls / 10 + seen[0] / 7 + more["n"] / 5  # type: ignore[attr-defined, no-any-return]

    factor.calls = 0  # type: ignore[attr-defined]
    return factor


@pytest.mark.parametrize("make", [Stepping.make, attributes_of_a_function])
def test_what_functions_and_methods_keep_is_carried(checkpoint: Any, make: Callable[[], Factor]) -> None:
    """Names around a method's class; attributes and defaults of a function."""
    resumes(checkpoint, lambda: trained(make()))


def counting(use: Callable[[int, Any], Any]) -> Callable[..., Any]:
    """A hook that counts its calls."""
    count = 0

    def hook(*given: Any) -> Any:
        nonlocal count
        count += 1
        return use(count, given)

    return hook


def slower(count: int, given: Any) -> None:
    """Sets the rate of an optimizer."""
    for group in given[0].param_groups:
        group["lr"] = 0.1 / count


def hooked(kind: str) -> list[str]:
    """A training with a hook of this kind, which changes what it does from call to call."""
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 3)
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if kind == "forward":
        model.register_forward_hook(counting(lambda count, given: given[2] * count))
    elif kind == "gradient":
        model.weight.register_hook(counting(lambda count, given: given[0] * count))
    elif kind == "step":
        optimizer.register_step_pre_hook(counting(slower))
    else:
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, counting(lambda count, given: 1 / count))
        optimizer.register_step_post_hook(lambda *_: schedule.step())
    return trained(lambda: 1.0, model, optimizer)


@pytest.mark.parametrize("kind", ["forward", "gradient", "step", "rate"])
def test_what_a_hook_counts_is_carried(checkpoint: Any, kind: str) -> None:
    """Of a model, of a parameter, of an optimizer; the function of a schedule."""
    resumes(checkpoint, lambda: hooked(kind))


class Counting(torch.nn.Module):
    """A buffer that is in no `state_dict`, a count on a parameter, and a layer's setting."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(2, 3)
        self.drop = torch.nn.Dropout(0.0)
        self.count: Tensor
        self.register_buffer("count", torch.zeros(()), persistent=False)
        self.inner.weight.calls = 0  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 3)."""
        self.count += 1
        self.inner.weight.calls += 1  # type: ignore[operator]
        self.drop.p = min(0.5, self.drop.p + 0.1)
        made: Tensor = self.drop(self.inner(x)) * (1 + self.count) + self.inner.weight.calls / 3  # type: ignore[operator]
        return made


def test_what_a_state_dict_of_a_model_leaves_out_is_carried(checkpoint: Any) -> None:
    """Buffers, attributes of parameters, settings of torch's own layers."""
    resumes(checkpoint, lambda: trained(lambda: 1.0, Counting()))


def test_tensors_that_lie_in_one_place_lie_in_one_place_again(checkpoint: Any) -> None:
    """Views made by the first iteration, of a buffer that it makes or that was there; gradients in one buffer."""

    def run(early: bool) -> list[str]:
        torch.manual_seed(0)
        model, said = torch.nn.Linear(2, 3), []
        grads = torch.zeros(9)
        model.weight.grad, model.bias.grad = grads[:6].view(3, 2), grads[6:]
        kept: dict[str, Any] = {"flat": torch.zeros(9)} if early else {}

        def training_step(x: Tensor) -> None:
            grads.zero_()
            loss = model(x).square().mean()
            loss.backward()
            flat = kept.setdefault("flat", torch.zeros(9))
            parts = kept.setdefault("parts", [flat[:6].view(3, 2), flat[6:], model.weight.data])
            parts[0].mul_(0.5).add_(model.weight.grad)
            parts[1].add_(model.bias.grad)
            flat.mul_(0.9)
            model.bias.data.sub_(0.1 * parts[1])
            parts[2].sub_(0.1 * parts[0])
            said.append(loss.item().hex())

        outlined.fit(training_step, torch.randn(6, 4, 2))
        return said

    for early in (False, True):
        resumes(checkpoint, functools.partial(run, early))


def test_groups_that_a_training_adds_are_there_again(checkpoint: Any) -> None:
    """A layer that it unfreezes, and an optimizer that it replaces by one of fewer parameters."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
        optimizer = torch.optim.Adam(model[1].parameters(), lr=0.1)
        steps, said = 0, []

        def training_step(x: Tensor) -> None:
            nonlocal steps, optimizer
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            steps += 1
            said.append(loss.item().hex())
            if steps == 1:
                optimizer.add_param_group({"params": list(model[0].parameters()), "lr": 0.01})
            if steps == 4:
                optimizer = torch.optim.Adam([model[0].weight], lr=0.02)

        outlined.fit(training_step, torch.randn(6, 4, 2))
        return said

    for at in (2, 5):
        whole = checkpoint.written_at(at, run)
        assert checkpoint.resumed(run) == whole


def test_models_and_optimizers_of_a_module_are_trained_on(checkpoint: Any, state: Any) -> None:
    """A program may keep them in a module of its own rather than in names of the loop."""

    def run() -> list[str]:
        torch.manual_seed(0)
        state.model = torch.nn.Linear(2, 3)
        state.optimizer = torch.optim.Adam(state.model.parameters(), lr=0.1)
        said = []

        def training_step(x: Tensor) -> None:
            state.optimizer.zero_grad()
            loss = state.model(x).square().mean()
            loss.backward()
            state.optimizer.step()
            said.append(loss.item().hex())

        outlined.fit(training_step, torch.randn(6, 4, 2))
        return said

    resumes(checkpoint, run)


class Trainer:
    """Saves its epoch alone; its method trains."""

    def __init__(self, said: list[str]) -> None:
        self.model = torch.nn.Linear(2, 3)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.said, self.epoch = said, 0

    def one(self, x: Tensor) -> None:
        """A step."""
        self.optimizer.zero_grad()
        loss = self.model(x).square().mean()
        loss.backward()
        self.optimizer.step()
        self.said.append(loss.item().hex())

    def state_dict(self) -> dict[str, int]:
        """Neither the model nor its optimizer."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The same."""
        self.epoch = state["epoch"]


def test_what_a_trainer_that_saves_itself_leaves_out_is_resumed(checkpoint: Any) -> None:
    """Its model, its optimizer and what they said."""

    def run() -> list[str]:
        torch.manual_seed(0)
        said: list[str] = []
        trainer = Trainer(said)
        outlined.fit(lambda x: trainer.one(x), torch.randn(6, 4, 2))
        return said

    resumes(checkpoint, run)
