"""Copies of the parameters in dicts and lists of the program's own: found by their bits, followed, and let go."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lab_parity
from lab_parity.record.copies import copies
from lab_parity.trace import Step

Shadow = dict[str, Tensor] | list[Tensor]


def in_place(shadow: Any, model: nn.Module, decay: float) -> None:
    """The usual update of a dict."""
    for name, parameter in model.named_parameters():
        shadow[name].mul_(decay).add_(parameter.detach(), alpha=1 - decay)


def anew(shadow: Any, model: nn.Module, decay: float) -> None:
    """New tensors at each step."""
    for name, parameter in model.named_parameters():
        shadow[name] = decay * shadow[name] + (1 - decay) * parameter.detach()


def by_number(shadow: Any, model: nn.Module, decay: float) -> None:
    """A list."""
    for number, parameter in enumerate(model.parameters()):
        shadow[number] = decay * shadow[number] + (1 - decay) * parameter.detach()


def as_dict(model: nn.Module) -> Shadow:
    """Of the trained parameters."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def as_list(model: nn.Module) -> Shadow:
    """In their order."""
    return [parameter.detach().clone() for parameter in model.parameters()]


def train(
    make: Callable[[nn.Module], Any], update: Callable[[Any, nn.Module, float], None], decay: float = 0.9
) -> None:
    """A plain loop with an average of its own."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    shadow = make(model)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(5, 3)).square().mean().backward()
        optimizer.step()
        update(shadow, model, decay)


@pytest.mark.parametrize(
    ("make", "update"),
    [
        (as_dict, in_place),
        (as_dict, anew),
        (as_list, by_number),
        (lambda model: copy.deepcopy(model.state_dict()), in_place),
    ],
)
def test_an_average_of_ones_own_is_followed_and_its_decay_named(
    tmp_path: Path, make: Callable[[nn.Module], Any], update: Callable[[Any, nn.Module, float], None]
) -> None:
    """Changed in place or put anew, by name or by place."""
    for name, decay in (("a", 0.9), ("again", 0.9), ("b", 0.91)):
        with lab_parity.record(tmp_path / name, capture=range(3)):
            train(make, update, decay)
    assert lab_parity.compare(tmp_path / "a", tmp_path / "again").rung == "identical"
    found = lab_parity.compare(tmp_path / "a", tmp_path / "b").first
    assert found is not None
    assert (found.step, found.phase, found.tensor) == (1, "ema", "0.weight")
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert cause is not None
    assert cause.name == "ema"
    assert cause.size == pytest.approx(0.91, abs=1e-4)


def test_what_is_no_copy_of_every_parameter_is_none() -> None:
    """The model's own dicts, those of a copied model, a part, other values, gradients, names of something else."""
    model, twin = nn.Linear(3, 2), nn.Linear(3, 2)
    twin.load_state_dict(model.state_dict())
    kept: list[Any] = [
        model._parameters, twin._parameters, list(model.parameters()), model.state_dict(),
        {"weight": model.weight.detach().clone()}, [model.weight.detach().clone(), torch.zeros(2)],
        {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, {"weight": 1, "bias": 2}, [], {},
    ]  # fmt: skip
    assert copies([model]) == []
    kept.append(as_dict(model))
    assert [found.container for found in copies([model])] == [kept[-1]]


def test_a_frozen_parameter_may_be_left_out() -> None:
    """An average is of what is trained."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    kept = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if parameter.requires_grad}
    (found,) = copies([model])
    assert found.container is kept
    assert [path for path, _ in found.tensors()] == ["1.weight", "1.bias"]


def test_a_copy_that_the_program_drops_is_let_go(tmp_path: Path) -> None:
    """Its memory is free after the next step, and no row tells of it."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    shadow = as_dict(model)
    tensor = weakref.ref(shadow["weight"])  # type: ignore[call-overload]
    with lab_parity.record(tmp_path / "a"):
        for step in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
            if step == 0:
                del shadow
    gc.collect()
    assert tensor() is None
    steps = [step for step in lab_parity.read(tmp_path / "a").steps() if isinstance(step, Step)]
    assert [sum(key.phase == "ema" for key in step.keys) for step in steps] == [2, 0, 0]
