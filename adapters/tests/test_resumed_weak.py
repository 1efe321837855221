"""What weak dictionaries and caches of functions remember of a training."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from lab_adapters import outlined
from six_steps import resumes, trained


def _late() -> Callable[[], Tensor]:
    made: list[Tensor] = []

    def weight() -> Tensor:
        if not made:
            made.append(torch.randn(2, requires_grad=True))
        return made[0]

    return weight


def _early() -> Callable[[], Tensor]:
    made = torch.randn(2, requires_grad=True)
    return lambda: made


def _steps(weight: Callable[[], Tensor], step: Callable[[Tensor], None]) -> list[str]:
    said = []

    def training_step(x: Tensor) -> None:
        weight().grad = None
        loss = (x @ weight()).square().mean()
        loss.backward()
        step(weight())
        said.append(loss.item().hex())

    outlined.fit(training_step, torch.randn(6, 4, 2))
    return said


@pytest.mark.sampled
@pytest.mark.parametrize("made", [_early, _late])
def test_optimizers_in_a_weak_dictionary_go_on(checkpoint: Any, made: Callable[[], Callable[[], Tensor]]) -> None:
    """Nobody looked into it: they were made anew, without their averages, and nothing said so."""

    def run() -> list[str]:
        torch.manual_seed(0)
        weight = made()
        optimizers: Any = WeakTensorKeyDictionary()

        def step(one: Tensor) -> None:
            if one not in optimizers:
                optimizers[one] = torch.optim.Adam([one], lr=0.1)
            optimizers[one].step()

        return _steps(weight, step)

    resumes(checkpoint, run)


@pytest.mark.sampled
@pytest.mark.parametrize("made", [_early, _late])
def test_momentum_in_a_weak_dictionary_goes_on(checkpoint: Any, made: Callable[[], Callable[[], Tensor]]) -> None:
    """It began anew."""

    def run() -> list[str]:
        torch.manual_seed(0)
        weight = made()
        momentum: Any = WeakTensorKeyDictionary()

        @torch.no_grad()
        def step(one: Tensor) -> None:
            if one not in momentum:
                momentum[one] = torch.zeros_like(one)
            assert one.grad is not None
            one -= 0.1 * momentum[one].mul_(0.9).add_(one.grad)

        return _steps(weight, step)

    resumes(checkpoint, run)


@pytest.mark.sampled
@pytest.mark.parametrize("kind", [weakref.WeakKeyDictionary, weakref.WeakValueDictionary])
def test_a_weak_dictionary_of_modules_goes_on(checkpoint: Any, kind: Any) -> None:
    """A count of each layer's calls; the layer that was used last."""

    def run() -> list[str]:
        model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
        known = kind()

        def factor() -> float:
            if kind is weakref.WeakValueDictionary:
                known[f"call {len(known)}"] = model[len(known) % 2]
                return 1.0 + len(known)
            known[model[0]] = known.get(model[0], 0) + 1
            return 1.0 + float(known[model[0]])

        return trained(factor, model)

    resumes_of_its_own(checkpoint, run)


def resumes_of_its_own(checkpoint: Any, run: Callable[[], list[str]]) -> None:
    """Of a model that is made before the seed is set."""

    def seeded() -> list[str]:
        torch.manual_seed(1)
        return run()

    resumes(checkpoint, seeded)


@pytest.mark.sampled
def test_a_cache_that_gives_optimizers_says_that_it_starts_anew(checkpoint: Any) -> None:
    """Nothing did."""

    def run() -> list[str]:
        torch.manual_seed(0)
        optimizer_of = functools.cache(lambda one: torch.optim.SGD([one], lr=0.1, momentum=0.9))
        return _steps(_early(), lambda one: optimizer_of(one).step())

    checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match=r"step\.optimizer_of: the training itself filled this cache .*SGD"):
        checkpoint.resumed(run)


@pytest.mark.sampled
def test_a_cache_of_masks_is_filled_again(checkpoint: Any) -> None:
    """What a function computes of its arguments alone is not worth a word."""

    def run() -> list[str]:
        mask = functools.lru_cache(maxsize=8)(lambda size: torch.ones(size).tril_())

        return trained(lambda: float(mask((2, 2)).sum()))

    resumes(checkpoint, run)
