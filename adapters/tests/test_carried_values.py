"""Whatever a factor of the loss is computed from, wherever a program keeps it: a resumed training finds it again."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import itertools
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lab_adapters import outlined

Factor = Callable[[], float]
Pair = collections.namedtuple("Pair", ["count", "tensor"])


class Options(dict[str, Any]):
    """The usual dictionary with attributes."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__  # type: ignore[assignment]


class Rows(list[float]):
    """A list with an attribute."""

    seen = 0


class Phase(enum.Enum):
    """Of a training."""

    WARM = 1
    FULL = 2


@dataclasses.dataclass(slots=True)
class Slotted:
    """A count in a slot."""

    count: int = 0


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A count that is replaced."""

    count: int = 0


def changing(first: Any, change: Callable[[Any], Any], number: Callable[[Any], float]) -> Factor:
    """A name that each step binds to another value."""
    value = first

    def factor() -> float:
        nonlocal value
        value = change(value)
        return 1 + number(value) / 10

    return factor


def filled(value: Any, fill: Callable[[Any], object], number: Callable[[Any], float]) -> Factor:
    """One object that each step changes."""

    def factor() -> float:
        fill(value)
        return 1 + number(value) / 10

    return factor


def put(key: Any, more: float = 1) -> Callable[[Any], None]:
    """Adds to an entry."""

    def fill(value: Any) -> None:
        value[key] += more

    return fill


def attribute(name: str) -> Callable[[Any], None]:
    """Adds to an attribute."""
    return lambda value: setattr(value, name, getattr(value, name) + 1)


DAY = datetime.timedelta(days=1)
VALUES: dict[str, Callable[[], Factor]] = {
    "a complex number": lambda: changing(1j, lambda v: v + 1, lambda v: v.real),
    "a fraction": lambda: changing(fractions.Fraction(1, 3), lambda v: v + 1, float),
    "a decimal": lambda: changing(decimal.Decimal("0.1"), lambda v: v + 1, float),
    "a path": lambda: changing(Path("a"), lambda v: v / "b", lambda v: len(v.parts)),
    "a date": lambda: changing(datetime.date(2020, 1, 1), lambda v: v + DAY, lambda v: v.day),
    "a time span": lambda: changing(DAY, lambda v: v + DAY, lambda v: v.days),
    "a range": lambda: changing(range(1), lambda v: range(v.stop + 1), len),
    "a frozenset": lambda: changing(frozenset(), lambda v: v | {len(v)}, len),
    "a named tuple": lambda: changing(
        Pair(0, torch.zeros(())), lambda v: Pair(v.count + 1, v.tensor + 1), lambda v: v.count + v.tensor.item()
    ),
    "a frozen object": lambda: changing(Frozen(), lambda v: Frozen(v.count + 1), lambda v: v.count),
    "a size": lambda: changing(torch.Size([1]), lambda v: torch.Size([*v, 1]), len),
    "a member of an enumeration": lambda: changing(
        Phase.WARM, lambda v: Phase.FULL, lambda v: {Phase.WARM: 1.0, Phase.FULL: 5.0}[v]
    ),
    "a dictionary of such members": lambda: filled({Phase.WARM: 0.0}, put(Phase.WARM), lambda v: v[Phase.WARM]),
    "a counter": lambda: filled(collections.Counter(), lambda v: v.update("a"), lambda v: v["a"]),
    "an ordered dictionary": lambda: filled(
        collections.OrderedDict(a=1.0, b=2.0), lambda v: v.move_to_end(next(iter(v))), lambda v: v[next(iter(v))]
    ),
    "a dictionary with attributes": lambda: filled(Options(count=0), attribute("count"), lambda v: v.count),
    "a list of one's own": lambda: filled(Rows([0.0]), put(0), lambda v: v[0]),
    "an attribute of a list": lambda: filled(Rows([0.0]), attribute("seen"), lambda v: v.seen),
    "a slot": lambda: filled(Slotted(), attribute("count"), lambda v: v.count),
    "an array of bytes": lambda: filled(bytearray(1), put(0), lambda v: v[0]),
    "an array of Python's": lambda: filled(array.array("d", [0.0]), put(0), lambda v: v[0]),
    "an array of objects": lambda: filled(np.array([None, 0], dtype=object), put(1), lambda v: v[1]),
    "a namespace": lambda: filled(types.SimpleNamespace(count=0), attribute("count"), lambda v: v.count),
    "iterators in a list": lambda: iterators(),
    "what a partial function is given": lambda: functools.partial(_counted, {"count": 0}),
    "one of several objects": lambda: changing_choice(),
    "one of several lists": lambda: changing_list(),
    "functions and classes in a registry": lambda: registered(),
    "one of several functions": lambda: changing_function(),
    "more objects than fit on a page": lambda: filled(
        [types.SimpleNamespace(count=0) for _ in range(1200)],
        lambda v: [setattr(one, "count", one.count + 1) for one in v],
        lambda v: v[1199].count,
    ),
}


def _counted(state: dict[str, int]) -> float:
    state["count"] += 1
    return state["count"] / 10


def changing_choice() -> Factor:
    """The name goes on to the next of several objects of one class, whose values stay."""
    stages = [types.SimpleNamespace(rate=rate) for rate in (1.0, 2.0, 3.0)]
    stage, at = stages[0], 0

    def factor() -> float:
        nonlocal stage, at
        rate = float(stage.rate)
        at = (at + 1) % 3
        stage = stages[at]
        return rate

    return factor


def second_of_two() -> float:
    """Which a name may go on to."""
    return 2.0


def registered() -> Factor:
    """Functions that the training registers, by the names that a module has for them."""
    registry: dict[str, Any] = {"calls": 0}

    def factor() -> float:
        registry["calls"] += 1
        registry.setdefault("function", second_of_two)
        registry.setdefault("class", Slotted)
        return float(registry["function"]() + registry["class"](registry["calls"]).count)

    return factor


def changing_list() -> Factor:
    """The name goes on to the next of several lists; what it adds is in the list of all, too."""
    buffers: list[list[float]] = [[1.0], [2.0], [3.0]]
    buffer, at = buffers[0], 0

    def factor() -> float:
        nonlocal buffer, at
        buffer.append(len(buffer) / 3)
        at = (at + 1) % 3
        buffer = buffers[at]
        return sum(map(sum, buffers)) + buffers[1][-1]

    return factor


def iterators() -> Factor:
    """Made before the loop, one of them with items of its own."""
    all_of_them = [itertools.count(1), iter([0.5, 0.25, 0.75, 0.1, 0.2, 0.3])]
    return lambda: float(sum(map(next, all_of_them)))


def changing_function() -> Factor:
    """The name goes on to another function."""

    def first() -> float:
        return 1.0

    def second() -> float:
        return 2.0

    now, calls = first, 0

    def factor() -> float:
        nonlocal now, calls
        calls += 1
        value = now() + calls / 10
        now = second if calls % 2 else first
        return value

    return factor


def trained(factor: Factor, model: torch.nn.Module | None = None, optimizer: Any = None) -> list[str]:
    """The losses of six steps."""
    torch.manual_seed(0)
    model = model or torch.nn.Linear(2, 3)
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.1)
    said = []

    def training_step(x: Tensor) -> None:
        optimizer.zero_grad()
        loss = model(x).square().mean() * factor()
        loss.backward()
        optimizer.step()
        said.append(loss.item().hex())

    outlined.fit(training_step, torch.randn(6, 4, 2))
    return said


def resumes(checkpoint: Any, run: Callable[[], list[str]]) -> None:
    """The losses after a checkpoint are those of the whole run, none of which is another's."""
    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole
    assert len(set(whole)) == 6


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_this_kind_is_carried(checkpoint: Any, name: str) -> None:
    """Plain, in a form of its own, or filled in the program's own object."""
    resumes(checkpoint, lambda: trained(VALUES[name]()))


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


class Metric:
    """Refuses a state that is longer than its own (as those of ignite do)."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"seen": list(self.seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises where the sizes differ."""
        for at, value in enumerate(state["seen"]):
            self.seen[at] = value


def test_what_refuses_its_own_state_is_put_back_by_its_attributes(checkpoint: Any) -> None:
    """A metric of an epoch, in the middle of which the run goes on."""

    def run() -> list[str]:
        metric = Metric()

        def factor() -> float:
            metric.seen.append(len(metric.seen) / 2)
            return 1 + sum(metric.seen)

        return trained(factor)

    resumes(checkpoint, run)


class Hub:
    """Its state holds objects of the program's own, which no checkpoint does (as mmengine's message hub)."""

    def __init__(self) -> None:
        self.seen = {"loss": Slotted()}

    def state_dict(self) -> dict[str, Any]:
        """The objects themselves."""
        return dict(self.seen)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The same."""
        self.seen = state


def test_what_saves_objects_is_put_back_by_its_attributes(checkpoint: Any) -> None:
    """The file holds nothing but plain values and tensors."""

    def run() -> list[str]:
        hub = Hub()

        def factor() -> float:
            hub.seen["loss"].count += 1
            return 1 + hub.seen["loss"].count / 3

        return trained(factor)

    resumes(checkpoint, run)
    torch.load(checkpoint.file, weights_only=True)


@dataclasses.dataclass
class Stay:
    """An entry of a memory, which the training makes."""

    state: Tensor
    reward: float
    next: Stay | None = None


class Memory(collections.deque[Any]):
    """A memory with an attribute."""

    pushed = 0

    def push(self, entry: Any) -> None:
        """Add it."""
        self.append(entry)
        self.pushed += 1


def of_memory(kind: Callable[[Tensor, float], Any]) -> Factor:
    """Objects that the training makes, in a list of its own making; the newest by a name of its own, too."""
    memory, newest = Memory(maxlen=4), None

    def factor() -> float:
        nonlocal newest
        entry = kind(torch.full((2,), float(memory.pushed)), memory.pushed / 3)
        if isinstance(entry, Stay):
            entry.next = newest
        memory.push(entry)
        newest = entry
        assert newest is memory[-1]
        rewards = sum(one.reward if isinstance(one, Stay) else one.count for one in memory)
        return 1 + rewards + memory.pushed / 10 + memory.maxlen

    return factor


def other_class() -> Factor:
    """An object in place of one of another class."""

    class One:
        rate = 1.0

    class Other:
        def __init__(self, rate: float) -> None:
            self.rate = rate

    now: Any = One()

    def factor() -> float:
        nonlocal now
        before = float(now.rate)
        now = Other(before + 1)
        return before

    return factor


MADE = {
    "named tuples": lambda: of_memory(lambda state, reward: Pair(reward, state)),
    "objects": lambda: of_memory(Stay),
    "one of another class": other_class,
}


@pytest.mark.parametrize("name", MADE)
def test_objects_that_the_training_makes_are_carried(checkpoint: Any, name: str) -> None:
    """By their attributes, which may be objects, too; two names of one stay one."""
    resumes(checkpoint, lambda: trained(MADE[name]()))


def test_an_object_of_a_library_in_place_of_another_is_said(checkpoint: Any) -> None:
    """No checkpoint holds it."""

    def run() -> list[str]:
        activation: torch.nn.Module = torch.nn.ReLU()

        def factor() -> float:
            nonlocal activation
            before, activation = activation, torch.nn.Tanh()
            return 1 + before(torch.tensor(0.5)).item()

        return trained(factor)

    checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match=r"resume: factor\.activation: Tanh are not kept"):
        checkpoint.resumed(run)


def test_an_iterator_that_nothing_can_stand_for_is_said(checkpoint: Any) -> None:
    """It lies in a tuple, where no other can be put."""

    def run() -> list[str]:
        return trained(functools.partial(next, itertools.count(1)))  # type: ignore[arg-type]

    checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match=r"resume: factor\.args: its 1 entries \(count\) are not kept"):
        checkpoint.resumed(run)


def test_where_the_search_ends_is_said(checkpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of too many objects to look at."""
    monkeypatch.setattr("lab_adapters.outlined.slots.MOST", 20)
    objects = [types.SimpleNamespace(count=0) for _ in range(100)]

    def run() -> list[str]:
        return trained(lambda: 1.0 + len(objects))

    checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match=r"leads to more than \d+ objects, which were searched up to .*objects"):
        checkpoint.resumed(run)


@pytest.mark.parametrize("at", [4, 5, 6, 8])
@pytest.mark.parametrize("name", VALUES)
def test_an_epoch_that_begins_with_such_a_value_begins_as_it_began(checkpoint: Any, name: str, at: int) -> None:
    """The code before the batches runs once more, on what it found then."""

    def run() -> list[str]:
        torch.manual_seed(0)
        factor, model, said = VALUES[name](), torch.nn.Linear(2, 3), []
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

        # Tensors are kept for an epoch's beginning only where it is marked.
        @(outlined.reads_models if name == "a named tuple" else lambda body: body)
        def epoch_loop(epoch: int) -> Iterator[Any]:
            weight = factor()

            def training_step(x: Tensor) -> None:
                optimizer.zero_grad()
                loss = model(x).square().mean() * weight
                loss.backward()
                optimizer.step()
                said.append(loss.item().hex())

            yield from outlined.steps(training_step, torch.randn(3, 4, 2))

        outlined.fit(epoch_loop, range(4))
        return said

    whole = checkpoint.written_at(at, run)
    assert checkpoint.resumed(run) == whole
