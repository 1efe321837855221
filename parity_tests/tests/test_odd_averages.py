"""Averages that lie in no dict of the parameters' paths and in no list of tensors, or are made anew at each step."""

from __future__ import annotations

import gc
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lab_parity

Average = Callable[[nn.Module, float], None]


def in_a_tuple(model: nn.Module) -> Average:
    """Updated in place."""
    shadow = tuple(p.detach().clone() for p in model.parameters())

    def update(model: nn.Module, decay: float) -> None:
        for mine, parameter in zip(shadow, model.parameters(), strict=True):
            mine.lerp_(parameter, 1 - decay)

    return update


def by_parameter(model: nn.Module) -> Average:
    """A dict whose keys are the parameters themselves, of a class of its own."""
    shadow: defaultdict[Tensor, Any] = defaultdict(lambda: None)
    for parameter in model.parameters():
        shadow[parameter] = parameter.detach().clone()

    def update(model: nn.Module, decay: float) -> None:
        for parameter in model.parameters():
            shadow[parameter] = decay * shadow[parameter] + (1 - decay) * parameter

    return update


def by_group(model: nn.Module) -> Average:
    """Lists in a list, as an optimizer's groups."""
    groups = [[p for p in model.parameters() if p.ndim > 1], [p for p in model.parameters() if p.ndim == 1]]
    shadow = [[p.detach().clone() for p in group] for group in groups]

    def update(model: nn.Module, decay: float) -> None:
        for group, mine in zip(groups, shadow, strict=True):
            for number, parameter in enumerate(group):
                mine[number] = decay * mine[number] + (1 - decay) * parameter

    return update


def on_the_parameters(model: nn.Module) -> Average:
    """An attribute of each."""
    for parameter in model.parameters():
        parameter.average = parameter.detach().clone()  # type: ignore[attr-defined]

    def update(model: nn.Module, decay: float) -> None:
        for parameter in model.parameters():
            parameter.average = decay * parameter.average + (1 - decay) * parameter  # type: ignore[attr-defined]

    return update


def in_buffers(model: nn.Module) -> Average:
    """A module's, under names without dots, as latent diffusion has it."""
    holder = nn.Module()
    for name, parameter in model.named_parameters():
        holder.register_buffer(name.replace(".", ""), parameter.detach().clone())

    def update(model: nn.Module, decay: float) -> None:
        for name, parameter in model.named_parameters():
            getattr(holder, name.replace(".", "")).lerp_(parameter, 1 - decay)

    return update


def in_arrays(model: nn.Module) -> Average:
    """Of numpy, new ones in a list at each step."""
    shadow = [p.detach().numpy().copy() for p in model.parameters()]

    def update(model: nn.Module, decay: float) -> None:
        shadow[:] = [decay * mine + (1 - decay) * p.detach().numpy()
                     for mine, p in zip(shadow, model.parameters(), strict=True)]  # fmt: skip

    return update


class VectorAnew:
    """Makes a new vector at each step."""

    def __init__(self, model: nn.Module) -> None:
        self.shadow = nn.utils.parameters_to_vector(model.parameters()).detach()

    def __call__(self, model: nn.Module, decay: float) -> None:
        """Once."""
        self.shadow = decay * self.shadow + (1 - decay) * nn.utils.parameters_to_vector(model.parameters())


class Anew:
    """Makes a new dict at each step."""

    def __init__(self, model: nn.Module) -> None:
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}

    def __call__(self, model: nn.Module, decay: float) -> None:
        """Once."""
        self.shadow = {
            name: decay * self.shadow[name] + (1 - decay) * p.detach() for name, p in model.named_parameters()
        }


def network() -> nn.Module:
    """(B, 4) -> (B, 1); two biases of one size begin with other bits."""
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))


def steps(model: nn.Module, count: int = 4) -> Iterator[None]:
    """Of SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(count):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
        yield


@pytest.mark.parametrize(
    "make",
    [in_a_tuple, by_parameter, by_group, on_the_parameters, in_buffers, in_arrays, VectorAnew, Anew],
    ids=lambda make: make.__name__,
)
def test_an_average_is_compared_wherever_it_lies(tmp_path: Path, make: Callable[[nn.Module], Average]) -> None:
    """Another decay was `identical`, and is named."""

    def train(name: str, decay: float) -> None:
        torch.manual_seed(0)
        model = network()
        update = make(model)
        with lab_parity.record(tmp_path / f"{name}.trace", capture=range(4)):
            for _ in steps(model):
                with torch.no_grad():
                    update(model, decay)

    for name, decay in (("a", 0.9), ("b", 0.9), ("c", 0.8)):
        train(name, decay)
    assert lab_parity.compare(tmp_path / "a.trace", tmp_path / "b.trace").rung == "identical"
    verdict = lab_parity.compare(tmp_path / "a.trace", tmp_path / "c.trace")
    assert verdict.first is not None, verdict
    assert verdict.first.phase == "ema"
    found = lab_parity.diagnose(tmp_path / "a.trace", tmp_path / "c.trace", verdict=verdict)
    assert found is not None
    assert found.name == "ema", found.sentence


def test_an_average_that_functions_hand_on_is_compared_and_nothing_is_kept_alive_by_that(tmp_path: Path) -> None:
    """A new list at each step, in a local variable; another local that the function drops is free at once."""

    def moved(shadow: list[Tensor], model: nn.Module, decay: float) -> list[Tensor]:
        return [decay * mine + (1 - decay) * p.detach() for mine, p in zip(shadow, model.parameters(), strict=True)]

    def train(name: str, decay: float) -> list[bool]:
        torch.manual_seed(0)
        model = network()
        dropped = []
        with lab_parity.record(tmp_path / f"{name}.trace"):
            shadow = [p.detach().clone() for p in model.parameters()]
            for _ in steps(model):
                shadow = moved(shadow, model, decay)
                large = torch.ones(3)
                model(torch.ones(1, 4))
                seen = weakref.ref(large)
                del large
                dropped.append(seen() is None)
        gc.collect()
        return dropped

    assert all(train("a", 0.9) + train("b", 0.9) + train("c", 0.8))
    assert lab_parity.compare(tmp_path / "a.trace", tmp_path / "b.trace").rung == "identical"
    verdict = lab_parity.compare(tmp_path / "a.trace", tmp_path / "c.trace")
    assert verdict.first is not None, verdict
    assert verdict.first.phase == "ema"
