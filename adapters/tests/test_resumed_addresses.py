"""What a program keeps by where an object lies, which is elsewhere in the run that goes on: `self.momentum[id(p)]`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lab_adapters import outlined
from lab_adapters.outlined.found import key_name
from six_steps import resumes

KEYS: dict[str, Callable[[Tensor], Any]] = {
    "id": id, "hash": hash, "data_ptr": Tensor.data_ptr, "a name": lambda p: f"momentum of {id(p)}",
    "a pair": lambda p: (id(p), "momentum"),
}  # fmt: skip


def _of_a_model() -> list[Tensor]:
    return list(torch.nn.Linear(2, 1).parameters())


def _of_no_model() -> list[Tensor]:
    return [torch.randn(1, 2, requires_grad=True), torch.randn(1, requires_grad=True)]


def trained(parameters: list[Tensor], step: Callable[[], None]) -> list[str]:
    """The losses of six steps."""
    said = []

    def training_step(x: Tensor) -> None:
        weight, bias = parameters
        weight.grad = bias.grad = None
        loss = (x @ weight.T + bias).square().mean()
        loss.backward()
        step()
        said.append(loss.item().hex())

    outlined.fit(training_step, torch.randn(6, 4, 2))
    return said


@pytest.mark.sampled
@pytest.mark.parametrize("made", ["before", "at the first step"])
@pytest.mark.parametrize("of", [_of_a_model, _of_no_model])
@pytest.mark.parametrize("key", KEYS)
def test_momentum_by_address_goes_on(checkpoint: Any, key: str, of: Callable[[], list[Tensor]], made: str) -> None:
    """The addresses were those of the first run: nobody found the momentum there, which began anew in silence."""

    def run() -> list[str]:
        torch.manual_seed(0)
        parameters = of()
        momentum: dict[Any, Tensor] = {}
        if made == "before":
            momentum |= {KEYS[key](one): torch.zeros_like(one) for one in parameters}

        @torch.no_grad()
        def step() -> None:
            for one in parameters:
                averaged = momentum.setdefault(KEYS[key](one), torch.zeros_like(one))
                assert one.grad is not None
                one -= 0.1 * averaged.mul_(0.9).add_(one.grad)

        return trained(parameters, step)

    resumes(checkpoint, run)


@pytest.mark.sampled
@pytest.mark.parametrize("key", KEYS)
def test_optimizers_by_address_go_on(checkpoint: Any, key: str) -> None:
    """They were made anew, without their averages."""

    def run() -> list[str]:
        torch.manual_seed(0)
        parameters = _of_no_model()
        optimizers: dict[Any, Any] = {}

        def step() -> None:
            for one in parameters:
                if KEYS[key](one) not in optimizers:
                    optimizers[KEYS[key](one)] = torch.optim.Adam([one], lr=0.1)
                optimizers[KEYS[key](one)].step()

        return trained(parameters, step)

    resumes(checkpoint, run)


@pytest.mark.sampled
def test_a_state_by_address_that_fills_itself_goes_on(checkpoint: Any) -> None:
    """As functional optimizers have it: `state = defaultdict(dict)`."""

    def run() -> list[str]:
        torch.manual_seed(0)
        parameters = _of_a_model()
        state: dict[int, dict[str, Tensor]] = defaultdict(dict)

        @torch.no_grad()
        def step() -> None:
            for one in parameters:
                averaged = state[id(one)].setdefault("momentum", torch.zeros_like(one))
                assert one.grad is not None
                one -= 0.1 * averaged.mul_(0.9).add_(one.grad)

        return trained(parameters, step)

    resumes(checkpoint, run)


def test_a_set_of_addresses_says_what_was_seen(checkpoint: Any) -> None:
    """A second optimizer was made of each parameter, and both stepped."""

    def run() -> list[str]:
        torch.manual_seed(0)
        parameters = _of_a_model()
        seen: set[int] = set()
        optimizers: list[Any] = []

        def step() -> None:
            for one in parameters:
                if id(one) not in seen:
                    seen.add(id(one))
                    optimizers.append(torch.optim.SGD([one], lr=0.1, momentum=0.9))
            for optimizer in optimizers:
                optimizer.step()

        return trained(parameters, step)

    resumes(checkpoint, run)


def test_counts_by_the_address_of_a_part_go_on(checkpoint: Any) -> None:
    """An object's address is one, too."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 1)
        calls: dict[int, int] = {}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step() -> None:
            calls[id(model)] = calls.get(id(model), 0) + 1
            optimizer.param_groups[0]["lr"] = 0.1 / calls[id(model)]
            optimizer.step()

        return trained(list(model.parameters()), step)

    resumes(checkpoint, run)


def test_a_large_number_that_is_no_address_stays(checkpoint: Any) -> None:
    """A seed, a time in nanoseconds, a file's number."""

    def run() -> list[str]:
        torch.manual_seed(0)
        parameters = _of_a_model()
        numbers: dict[Any, int] = {}

        def step() -> None:
            numbers[1_700_000_000_000_000_000] = numbers["000000139872"] = 2**40 + len(numbers)
            assert set(numbers) == {1_700_000_000_000_000_000, "000000139872"}
            with torch.no_grad():
                parameters[0] -= numbers["000000139872"] / 2**42

        return [*trained(parameters, step), *map(str, numbers.values())]

    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole
    assert whole[-2:] == [str(2**40 + 2)] * 2


def test_a_path_names_no_address() -> None:
    """An optimizer at one was looked for where the first run had it."""
    assert key_name(id(KEYS), 3) == key_name(f"of {id(KEYS)}", 3) == "#3"
    assert key_name(17, 3) == "17"
    assert key_name("000000139872", 3) == "'000000139872'"
