"""Optimizers that the first step makes, one for each parameter: what a run that goes on makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lab_adapters import outlined
from six_steps import resumes

Named = dict[str, Tensor]
Stepping = Callable[[Named], None]


def _adam(parameter: Tensor) -> torch.optim.Adam:
    return torch.optim.Adam([parameter], lr=0.1)


def by_tensor() -> Stepping:
    """As probabilistic programs have it: their parameters are known when the model has run once."""
    optimizers: dict[Any, Any] = {}

    def step(named: Named) -> None:
        for parameter in named.values():
            if parameter not in optimizers:
                optimizers[parameter] = _adam(parameter)
            optimizers[parameter].step()

    return step


def by_name() -> Stepping:
    """By the parameter's name."""
    optimizers: dict[str, Any] = {}

    def step(named: Named) -> None:
        for name, parameter in named.items():
            if name not in optimizers:
                optimizers[name] = _adam(parameter)
            optimizers[name].step()

    return step


def one_for_all() -> Stepping:
    """One, to which parameters are added as they are met."""
    optimizer, seen = None, set()

    def step(named: Named) -> None:
        nonlocal optimizer
        for parameter in named.values():
            if optimizer is None:
                optimizer = _adam(parameter)
            elif parameter not in seen:
                optimizer.add_param_group({"params": [parameter]})
            seen.add(parameter)
        assert optimizer is not None
        optimizer.step()

    return step


def by_schedule() -> Stepping:
    """Known by their schedules only."""
    schedules: dict[Any, Any] = {}

    def step(named: Named) -> None:
        for parameter in named.values():
            if parameter not in schedules:
                schedules[parameter] = torch.optim.lr_scheduler.ExponentialLR(_adam(parameter), 0.9)
            schedules[parameter].optimizer.step()
            schedules[parameter].step()

    return step


STEPPING: dict[str, Callable[[], Stepping]] = {
    "by tensor": by_tensor,
    "by name": by_name,
    "one": one_for_all,
    "by schedule": by_schedule,
}


def _in_names() -> Callable[[], Named]:
    weight, bias = torch.randn(3, 2, requires_grad=True), torch.randn(3, requires_grad=True)
    return lambda: {"weight": weight, "bias": bias}


def _in_a_list() -> Callable[[], Named]:
    parameters = [torch.randn(3, 2, requires_grad=True), torch.randn(3, requires_grad=True)]
    return lambda: {"weight": parameters[0], "bias": parameters[1]}


def _in_a_dict() -> Callable[[], Named]:
    parameters = {"net": {"weight": torch.randn(3, 2, requires_grad=True), "bias": torch.randn(3, requires_grad=True)}}
    return lambda: parameters["net"]


def _of_a_model() -> Callable[[], Named]:
    model = torch.nn.Linear(2, 3)
    return lambda: dict(model.named_parameters())


def _in_a_store() -> Callable[[], Named]:
    store: Named = {}

    def named() -> Named:
        if not store:
            store.update(weight=torch.randn(3, 2, requires_grad=True), bias=torch.randn(3, requires_grad=True))
        return store

    return named


KEPT: dict[str, Callable[[], Callable[[], Named]]] = {
    "in names": _in_names, "in a list": _in_a_list, "in a dict": _in_a_dict, "of a model": _of_a_model,
    "in a store that the training fills": _in_a_store,
}  # fmt: skip


def trained(kept: Callable[[], Callable[[], Named]], stepping: Callable[[], Stepping]) -> list[str]:
    """The losses of six steps, each of which depends on what the optimizers of those before remember."""
    torch.manual_seed(0)
    named, step, said = kept(), stepping(), []

    def training_step(x: Tensor) -> None:
        weight, bias = named().values()
        weight.grad = bias.grad = None
        loss = (x @ weight.T + bias).square().mean()
        loss.backward()
        step(named())
        said.append(loss.item().hex())

    outlined.fit(training_step, torch.randn(6, 4, 2))
    return said


@pytest.mark.sampled
@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("stepping", STEPPING)
def test_optimizers_that_the_first_step_makes_go_on(checkpoint: Any, kept: str, stepping: str) -> None:
    """Of parameters of no model the optimizer was made of copies, forgot its averages, and nothing said so."""
    resumes(checkpoint, lambda: trained(KEPT[kept], STEPPING[stepping]))


@pytest.mark.sampled
def test_a_parameter_that_a_late_optimizer_steps_stays_the_programs(checkpoint: Any) -> None:
    """The name in the function around the loop, which no closure holds, went on with the numbers of the beginning."""

    def run() -> list[str]:
        torch.manual_seed(0)
        weight = torch.randn(2, requires_grad=True)
        parameters, optimizers, said = [weight], [], []

        def training_step(x: Tensor) -> None:
            if not optimizers:
                optimizers.append(torch.optim.SGD(parameters, lr=0.1, momentum=0.9))
            parameters[0].grad = None
            loss = (x @ parameters[0]).square().mean()
            loss.backward()
            optimizers[0].step()
            said.append(loss.item().hex())

        outlined.fit(training_step, torch.randn(5, 4, 2))
        return [*said, weight.sum().item().hex()]

    resumes(checkpoint, run)


@pytest.mark.sampled
@pytest.mark.parametrize("schedule", ["StepLR", "ReduceLROnPlateau", "SequentialLR"])
def test_an_optimizer_that_only_its_schedule_holds_goes_on(checkpoint: Any, schedule: str) -> None:
    """Its averages stayed away: it was found by none of the loop's names."""

    def scheduled(optimizer: Any) -> Any:
        of = torch.optim.lr_scheduler
        if schedule == "SequentialLR":
            return of.SequentialLR(optimizer, [of.ConstantLR(optimizer), of.StepLR(optimizer, 1)], [2])
        return of.StepLR(optimizer, 2) if schedule == "StepLR" else of.ReduceLROnPlateau(optimizer, patience=1)

    def run() -> list[str]:
        torch.manual_seed(0)
        model, said = torch.nn.Linear(2, 3), []
        schedule = scheduled(torch.optim.Adam(model.parameters(), lr=0.1))

        def training_step(x: Tensor) -> None:
            schedule.optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            schedule.optimizer.step()
            schedule.step(*([loss.item()] if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau) else []))
            said.append(loss.item().hex())

        outlined.fit(training_step, torch.randn(6, 4, 2))
        return said

    resumes(checkpoint, run)
