"""Home-grown updates: their state is saved and put back as the objects that the program has, bitwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lab_adapters import outlined

Said = list[str]
Training = Callable[[Said], None]


class Momentum:
    """A home-grown optimizer: parameters and state in lists, updated in place."""

    def __init__(self, params: Any) -> None:
        self.params = list(params)
        self.velocity = [torch.zeros_like(p) for p in self.params]
        self.calls = 0

    def minimize(self, loss: Tensor) -> None:
        """Accumulates over two calls."""
        loss.backward()
        self.calls += 1
        if self.calls % 2:
            return
        with torch.no_grad():
            for p, v in zip(self.params, self.velocity, strict=True):
                assert p.grad is not None
                v.mul_(0.9).add_(p.grad)
                p.sub_(0.1 * v)
                p.grad.zero_()


class ByParameter(Momentum):
    """The same with its state under the parameters themselves, made when it is first needed."""

    def __init__(self, params: Any) -> None:
        self.params = list(params)
        self.state: dict[Tensor, dict[str, Tensor]] = defaultdict(dict)
        self.calls = 0

    def minimize(self, loss: Tensor) -> None:
        """At each call."""
        loss.backward()
        with torch.no_grad():
            for p in self.params:
                assert p.grad is not None
                v = self.state[p].setdefault("velocity", torch.zeros_like(p))
                v.mul_(0.9).add_(p.grad)
                p.sub_(0.1 * v)
                p.grad = None


class Slotted:
    """The same with its state in slots."""

    __slots__ = ("calls", "params", "velocity")
    __init__ = Momentum.__init__
    minimize = Momentum.minimize


def by_optimizer(kind: Any, several: bool = False) -> Training:
    """A model trained by one, alone or the second in a list of objects; an average beside it; a hidden state."""

    def run(said: Said) -> None:
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 3)
        optimizers = [kind(model.parameters())] if several else None
        optimizer = optimizers[0] if optimizers else kind(model.parameters())
        average = [p.detach().clone() for p in model.parameters()]
        alias = {"average": average[0]}
        hidden = torch.zeros(3)
        clipped = list(model.parameters())

        def training_step(_: int) -> None:
            nonlocal hidden
            hidden = torch.tanh(model(torch.randn(4, 3) + hidden)).mean(0).detach()
            loss = model(torch.randn(4, 3) + hidden).pow(2).mean()
            (optimizers[0] if optimizers else optimizer).minimize(loss)
            with torch.no_grad():
                for mean, p in zip(average, clipped, strict=True):
                    mean.lerp_(p, 0.1)
            said.append(f"{loss.item().hex()} {alias['average'].sum().item().hex()} {average[0].sum().item().hex()}")

        outlined.fit(training_step, range(8))

    return run


def without_a_model(said: Said) -> None:
    """Plain tensors as parameters, one updated in place and one made anew at each step."""
    torch.manual_seed(0)
    kept = torch.randn(3, requires_grad=True)
    made = torch.randn(3, requires_grad=True)

    def training_step(index: int) -> None:
        nonlocal made
        loss = (kept * made * torch.randn(3)).sum().pow(2)
        loss.backward()
        if index % 3 == 2:
            assert kept.grad is not None
            assert made.grad is not None
            with torch.no_grad():
                kept.sub_(0.1 * kept.grad)
            made = (made - 0.1 * made.grad).detach().requires_grad_()
            kept.grad = None
        said.append(loss.item().hex())

    outlined.fit(training_step, range(8))


def hooked(said: Said) -> None:
    """Optimizers by parameter, which only a hook of the backward pass knows."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 3)
    optimizers = {p: torch.optim.Adam([p], lr=0.1) for p in model.parameters()}

    def update(p: Tensor) -> None:
        optimizers[p].step()  # type: ignore[index]
        optimizers[p].zero_grad()  # type: ignore[index]

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(update)

    def training_step(_: int) -> None:
        loss = model(torch.randn(4, 3)).pow(2).mean()
        loss.backward()
        said.append(loss.item().hex())

    outlined.fit(training_step, range(8))


TRAININGS = {
    "optimizers that hooks step": hooked,
    "state in lists": by_optimizer(Momentum),
    "state by parameter": by_optimizer(ByParameter),
    "state in slots": by_optimizer(Slotted),
    "an optimizer in a list": by_optimizer(Momentum, several=True),
    "parameters of no model": without_a_model,
}


@pytest.mark.parametrize("at", [1, 3, 6])
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_that_updates_by_hand_resumes_bitwise(checkpoint: Any, name: str, at: int) -> None:
    """Mid-accumulation too: the parameters in the program's own lists stay the model's, and aliases stay aliases."""

    def run() -> Said:
        said: Said = []
        TRAININGS[name](said)
        return said

    whole = checkpoint.written_at(at, run)
    # What was said before the checkpoint is carried, too: a list of the program's like any other.
    assert checkpoint.resumed(run) == whole
    assert len(whole) in (8, 10, 13)
    torch.load(checkpoint.file, weights_only=True)


class Counter:
    """Counts for all of its instances."""

    total, seen = 0, [0.0]


def test_attributes_of_a_class_are_carried(checkpoint: Any) -> None:
    """By its name, by an instance, by a class below; one that the loop makes first, too; a constant stays."""

    class Shared(Counter):
        limit = 3

    class Named:
        pass

    def run(limit: int) -> list[Any]:
        Counter.total, Counter.seen[:], Shared.limit = 0, [0.0], limit
        if hasattr(Named, "late"):
            del Named.late
        counter, said = Shared(), []

        def training_step(index: int) -> None:
            Counter.total += index
            counter.seen.append(index / 2)
            Named.late = index + getattr(Named, "late", 0)  # type: ignore[attr-defined]
            said.append((Counter.total, list(Shared.seen), Named.late, counter.limit))  # type: ignore[attr-defined]

        outlined.fit(training_step, range(5))
        return said

    whole = checkpoint.written_at(3, lambda: run(3))
    resumed = checkpoint.resumed(lambda: run(4))
    assert [one[:3] for one in resumed] == [one[:3] for one in whole]
    assert [one[3] for one in resumed] == [3, 3, 3, 4, 4]
    assert Shared.limit == 4
    assert "Shared.limit" not in str(torch.load(checkpoint.file)["outlined"]["carried"])


def test_a_model_keeps_its_path_where_the_loop_binds_another_name_to_it(checkpoint: Any) -> None:
    """A closure that the batches define leads to the model, too, and is not there when the run goes on."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model, said = torch.nn.Linear(2, 1), []
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2)
        again: Any = None

        def zloss(x: Tensor) -> Tensor:
            return model(x).square().mean()

        def training_step(x: Tensor) -> None:
            nonlocal again

            def again() -> Tensor:
                optimizer.zero_grad()
                loss = zloss(x)
                loss.backward()
                return loss

            said.append(optimizer.step(again).item().hex())  # type: ignore[arg-type, union-attr]

        outlined.fit(training_step, torch.randn(5, 4, 2))
        return said

    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole


def test_a_name_that_a_function_of_the_batches_changes_is_carried(checkpoint: Any) -> None:
    """The function is bound by the batches alone, so that nothing leads through it when the run goes on."""

    def run() -> list[int]:
        bump: Any = None
        count, said = 1, []

        def training_step(index: int) -> None:
            nonlocal bump

            def bump() -> None:
                nonlocal count
                count += index

            bump()
            said.append(count)

        outlined.fit(training_step, range(6))
        return said

    whole = checkpoint.written_at(4, run)
    assert checkpoint.resumed(run) == whole


class Meter:
    """What a loop makes in its first iteration."""

    def __init__(self) -> None:
        self.total = 0.0


def test_an_object_that_the_loop_makes_when_it_first_needs_it_is_carried(checkpoint: Any) -> None:
    """The resumed run has it from the start."""

    def run() -> list[float]:
        meter: Meter | None = None
        said = []

        def training_step(index: int) -> None:
            nonlocal meter
            meter = meter or Meter()
            meter.total += index
            said.append(meter.total)

        outlined.fit(training_step, range(5))
        return said

    assert checkpoint.written_at(3, run) == [0, 1, 3, 6, 10]
    assert checkpoint.resumed(run) == [0, 1, 3, 6, 10]


def test_a_value_that_has_no_place_where_the_run_goes_on_is_said(checkpoint: Any) -> None:
    """A layer that holds a function without a name: the resumed run makes a new one."""

    def run() -> None:
        layer: torch.nn.Module | None = None

        def training_step(index: int) -> None:
            nonlocal layer
            layer = layer or torch.nn.Dropout(0.1)
            layer.p = index / 10  # type: ignore[assignment]
            layer.asked = lambda: index  # type: ignore[assignment]

        outlined.fit(training_step, range(5))

    checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match=r"resume: .*layer\.p.*: the checkpoint has a value, and the program no such"):
        checkpoint.resumed(run)


def class_of(name: str) -> type:
    """Each call makes another class of the same qualified name."""

    class Counter:
        count = 0
        label = name

    return Counter


def test_two_classes_of_one_name_keep_their_own_attributes(checkpoint: Any) -> None:
    """Made by one function, say for two models."""

    def run() -> list[tuple[int, int]]:
        one, other, said = class_of("one"), class_of("other"), []

        def training_step(index: int) -> None:
            one.count += 1  # type: ignore[attr-defined]
            other.count += 10  # type: ignore[attr-defined]
            said.append((one.count, other.count))  # type: ignore[attr-defined]

        outlined.fit(training_step, range(4))
        return said

    whole = checkpoint.written_at(2, run)
    assert whole[-1] == (4, 40)
    assert checkpoint.resumed(run) == whole
