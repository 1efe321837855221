"""What an outlined loop carries is saved and put back as the objects that the program has, bitwise."""

from __future__ import annotations

import itertools
import queue
import random
import types
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
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


_SCRIPT = """
import torch
from lab_adapters import outlined
torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
def epoch_loop(epoch):
    def training_step(x):
        global loss
        loss = model(x).pow(2).mean()
        loss.backward()
        optimizer.step()
    yield from outlined.steps(training_step, torch.randn(3, 4, 2))
    said.append((epoch, loss.item()))
outlined.fit(epoch_loop, range(2))
"""


@pytest.mark.parametrize("at", [2, 3, 4, 6])
def test_a_script_resumes_at_the_end_of_an_epoch(tmp_path: Path, at: int) -> None:
    """Where the code after the inner loop reads a global name that no batch of the resumed run has assigned yet."""
    saved = tmp_path / "now.ckpt"

    class Save(pl.Callback):
        count = 0

        def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
            self.count += 1
            if self.count == at:
                trainer.save_checkpoint(saved)

    said: list[tuple[int, float]] = []
    with outlined.trainer_settings(callbacks=[Save()]):
        exec(_SCRIPT, {"said": said})
    again: list[tuple[int, float]] = []
    with outlined.trainer_settings(ckpt_path=str(saved)):
        exec(_SCRIPT, {"said": again})
    assert len(said) == 2
    assert again == said


def test_a_checkpoint_is_for_the_training_that_wrote_it(tmp_path: Path) -> None:
    """Of a program with several: those before it are trained again, those after it begin as ever."""
    saved = tmp_path / "now.ckpt"

    class Save(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
            if module.driver.ordinal == 1 and index == 1:
                trainer.save_checkpoint(saved)

    def one_fold() -> str:
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

        def training_step(x: Tensor) -> None:
            model(x).pow(2).mean().backward()
            optimizer.step()
            optimizer.zero_grad()

        outlined.fit(training_step, torch.randn(4, 3, 2))
        return f"{model.weight.sum().item().hex()} {torch.rand(1).item().hex()}"

    def folds() -> list[str]:
        torch.manual_seed(0)
        return [one_fold() for _ in range(3)]

    with outlined.trainer_settings(callbacks=[Save()]):
        whole = folds()
    with outlined.trainer_settings(ckpt_path=str(saved)), pytest.warns(UserWarning, match="training 1 is run again"):
        assert folds() == whole


def test_a_queue_that_a_thread_fills_is_said_to_start_anew(tmp_path: Path) -> None:
    """Nothing can put it back: never in silence."""
    saved = tmp_path / "now.ckpt"

    class Save(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
            trainer.save_checkpoint(saved)

    def run() -> None:
        feed: queue.Queue[int] = queue.Queue()
        for item in range(9):
            feed.put(item)

        def training_step(_: int) -> None:
            feed.get()

        outlined.fit(training_step, range(2))

    with outlined.trainer_settings(callbacks=[Save()]):
        run()
    with outlined.trainer_settings(ckpt_path=str(saved)), pytest.warns(UserWarning, match="feed: .* queue"):
        run()


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


class Settings:
    """What a person may change between a run and its continuation."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.seen = 0


def phases(said: Said) -> None:
    """Two loops an epoch, in two functions, a save between them, and what the first returned after the second."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    kept: list[float] = []

    @outlined.loop
    def run(batches: Any) -> Any:
        total, count = 0.0, 0

        def training_step(batch: Tensor) -> None:
            nonlocal total, count
            loss = model(batch).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, count = total + loss.item(), count + 1

        yield from outlined.steps(training_step, batches)
        said.append(f"mean {(total / count).hex()}")
        return {"mean": total / count, "weight": model.weight.detach().clone()}

    @outlined.loop
    def both(epoch: int) -> Any:
        first = yield from outlined.call(run, torch.randn(3, 4, 3))
        kept.append(model.weight.sum().item())
        second = yield from outlined.call(run, torch.randn(2, 4, 3))
        return first, second

    @outlined.reads_models
    def epoch_loop(epoch: int) -> Any:
        first, second = yield from outlined.call(both, epoch)
        said.append(f"{epoch} {first['mean'].hex()} {second['mean'].hex()} {first['weight'].sum().item().hex()}")

    outlined.fit(epoch_loop, range(2))
    said.append(str(kept))


@pytest.mark.parametrize("at", [1, 3, 4, 5, 6, 9, 10])
def test_a_call_that_has_returned_is_gone_past(tmp_path: Path, at: int) -> None:
    """What it returned is in the checkpoint; it prints nothing again, and what lies between saves no fresh weights."""
    saved = tmp_path / "now.ckpt"

    class Save(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
            if index + 1 == at:
                trainer.save_checkpoint(saved)

    whole: Said = []
    with outlined.trainer_settings(callbacks=[Save()]):
        phases(whole)
    resumed: Said = []
    with outlined.trainer_settings(ckpt_path=str(saved)):
        phases(resumed)
    assert resumed == whole


def test_a_setting_that_a_resumed_run_changes_stays_changed(tmp_path: Path) -> None:
    """Only what the loop itself has changed is put back."""
    saved = tmp_path / "now.ckpt"

    class Save(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
            if index == 1:
                trainer.save_checkpoint(saved)

    def run(rate: float) -> list[tuple[float, int]]:
        settings = Settings(rate)
        said: list[tuple[float, int]] = []

        def training_step(_: int) -> None:
            settings.seen += 1
            said.append((settings.rate, settings.seen))

        outlined.fit(training_step, range(4))
        return said

    with outlined.trainer_settings(callbacks=[Save()]):
        run(0.1)
    with outlined.trainer_settings(ckpt_path=str(saved)):
        assert run(0.5) == [(0.1, 1), (0.1, 2), (0.5, 3), (0.5, 4)]


def loader_of(*, workers: int = 0) -> torch.utils.data.DataLoader[Any]:
    """20 items, shuffled by the global generator, with a transform that draws from it as well."""

    class Noisy(torch.utils.data.Dataset[Tensor]):
        def __init__(self) -> None:
            self.items, self.read = torch.arange(60.0).reshape(20, 3) / 60, 0

        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> Tensor:
            self.read += 1
            return self.items[index] + 0.01 * torch.rand(3) + 0.001 * self.read

    return torch.utils.data.DataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=workers)


class Feed:
    """Endless batches with generators of its own: torch's, numpy's new and old, Python's."""

    def __init__(self) -> None:
        self.torch = torch.Generator().manual_seed(1)
        self.numpy, self.old = np.random.default_rng(1), np.random.RandomState(1)
        self.python = random.Random(1)

    def pull(self) -> Tensor:
        """The next batch."""
        drawn = self.numpy.random() + self.old.rand() + self.python.random()
        return torch.randn(4, 3, generator=self.torch) + drawn


class Restarting:
    """An iterator class that makes its loader's iterator anew at the end."""

    def __init__(self, loader: Any) -> None:
        self.loader, self.it, self.epochs = loader, iter(loader), 0

    def __next__(self) -> Tensor:
        try:
            return next(self.it)  # type: ignore[no-any-return]
        except StopIteration:
            self.it, self.epochs = iter(self.loader), self.epochs + 1
            return next(self.it)  # type: ignore[no-any-return]


def cycle(loader: Any) -> Iterator[Tensor]:
    """The usual one."""
    while True:
        yield from loader


class Agent(torch.nn.Module):
    """A model that holds its optimizer, and what it has seen, itself; a part of it changes mode on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
        self.optimizer = torch.optim.Adam(self.parameters(), 0.1)
        self.recent: deque[float] = deque(maxlen=3)

    def learn(self, batch: Tensor) -> float:
        """One update."""
        loss = self.net(batch).pow(2).mean() + sum(self.recent)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.recent.append(loss.item() / 10)
        if len(self.recent) == 2:
            self.net[1].eval()
            self.net[0].bias.requires_grad_(False)
        return float(loss.item())


def by_batches(make: Callable[[], Callable[[], Tensor]]) -> Training:
    """A model that holds its optimizer, trained on what the program itself pulls; other draws in between."""

    def run(said: Said) -> None:
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        agent, pull = Agent(), make()

        def training_step(_: int) -> None:
            said.append(f"{agent.learn(pull()).hex()} {torch.rand(1).item().hex()} {random.random().hex()}")

        outlined.fit(training_step, range(13))

    return run


def restarted() -> Callable[[], Tensor]:
    """`except StopIteration: it = iter(loader)` in the step's own code."""
    loader = loader_of()
    it = iter(loader)

    def pull() -> Tensor:
        nonlocal it
        try:
            return next(it)  # type: ignore[no-any-return]
        except StopIteration:
            it = iter(loader)
            return next(it)  # type: ignore[no-any-return]

    return pull


def of_feed() -> Callable[[], Tensor]:
    """An endless feed."""
    return Feed().pull


def of_iterator(make: Callable[[], Any]) -> Callable[[], Callable[[], Tensor]]:
    """`next(batches)`."""

    def made() -> Callable[[], Tensor]:
        batches = make()
        return lambda: next(batches)

    return made


class Environment:
    """What an agent acts in: attributes that its first `reset` makes, in the loop."""

    def reset(self) -> None:
        """Begin an episode."""
        self.state, self.time = torch.zeros(4, 3), 0

    def step(self) -> Tensor:
        """Go on."""
        self.time += 1
        self.state = 0.9 * self.state + torch.randn(4, 3) + self.time / 10
        return self.state


def of_environment() -> Callable[[], Tensor]:
    """Its episodes begin in the loop."""
    environment, done = Environment(), True

    def pull() -> Tensor:
        nonlocal done
        if done:
            environment.reset()
        batch = environment.step()
        done = environment.time == 5
        return batch

    return pull


class Bar:
    """A progress bar: asks its iterable for a length, and whether it is a generator."""

    def __init__(self, iterable: Any) -> None:
        self.iterable = iterable
        self.total = len(iterable) if hasattr(iterable, "__len__") else None

    def __iter__(self) -> Iterator[Any]:
        assert isinstance(self.iterable, types.GeneratorType)
        assert (len(self.iterable) if hasattr(self.iterable, "__len__") else None) == self.total
        yield from self.iterable


def of_bar() -> Callable[[], Tensor]:
    """A bar that the loop holds, and what it iterates over."""
    bar = Bar(cycle(loader_of()))
    batches = iter(bar)
    return lambda: next(batches) + (0 if bar.total is None else 1)


class Average:
    """One that cannot be told before it has seen something."""

    def __init__(self) -> None:
        self.recent: deque[float] = deque(maxlen=3)
        self.count = 0

    def update(self, value: float) -> None:
        """Add a value."""
        self.recent.append(value)
        self.count += 1

    def __str__(self) -> str:
        return f"{sum(self.recent) / len(self.recent):.17g} of {self.count}"


class Averages:
    """Meters made when they are first needed, told by the generator that the loop iterates over."""

    def __init__(self) -> None:
        self.meters: defaultdict[str, Average] = defaultdict(Average)

    def told(self, items: Any) -> Iterator[Any]:
        """The items; what the meters say after every third."""
        for index, item in enumerate(items, 1):
            yield item
            if index % 3 == 0:
                self.said.append(" ".join(f"{name} {meter}" for name, meter in self.meters.items()))


def by_meters(said: Said) -> None:
    """`for index, batch in enumerate(meters.told(loader))`, a learning rate of numpy's."""
    torch.manual_seed(0)
    agent, meters = Agent(), Averages()
    meters.said = said  # type: ignore[attr-defined]
    meters.meters["rate"] = Average()

    def training_step(item: tuple[int, Tensor]) -> None:
        index, batch = item
        agent.optimizer.param_groups[0]["lr"] = np.float64(0.1) / (index + 1)
        meters.meters["loss"].update(agent.learn(batch))
        meters.meters["rate"].update(agent.optimizer.param_groups[0]["lr"])

    outlined.fit(training_step, enumerate(meters.told(torch.randn(13, 4, 3))))
    said += [str(meters.meters["loss"]), str(meters.meters["rate"]), *map(str, agent.parameters())]


TRAININGS = {
    "optimizers that hooks step": hooked,
    "meters that the loop's own generator tells": by_meters,
    "an environment that the loop resets": by_batches(of_environment),
    "a progress bar": by_batches(of_bar),
    "generators of its own": by_batches(of_feed),
    "an iterator made again at the end": by_batches(restarted),
    "an iterator class that restarts": by_batches(of_iterator(lambda: Restarting(loader_of()))),
    "an endless generator over a loader": by_batches(of_iterator(lambda: cycle(loader_of()))),
    "a loader's iterator with worker processes": by_batches(of_iterator(lambda: cycle(loader_of(workers=1)))),
    "itertools over generators": by_batches(
        of_iterator(lambda: itertools.islice(itertools.cycle(torch.randn(2, 3) for _ in range(3)), 100))
    ),
    "state in lists": by_optimizer(Momentum),
    "state by parameter": by_optimizer(ByParameter),
    "state in slots": by_optimizer(Slotted),
    "an optimizer in a list": by_optimizer(Momentum, several=True),
    "parameters of no model": without_a_model,
}


@pytest.mark.parametrize("at", [1, 3, 6])
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_that_updates_by_hand_resumes_bitwise(tmp_path: Path, name: str, at: int) -> None:
    """Mid-accumulation too: the parameters in the program's own lists stay the model's, and aliases stay aliases."""
    saved = tmp_path / "now.ckpt"

    class Save(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
            if index + 1 == at:
                trainer.save_checkpoint(saved)

    whole: Said = []
    with outlined.trainer_settings(callbacks=[Save()]):
        TRAININGS[name](whole)
    resumed: Said = []
    with outlined.trainer_settings(ckpt_path=str(saved)):
        TRAININGS[name](resumed)
    # What was said before the checkpoint is carried, too: a list of the program's like any other.
    assert resumed == whole
    assert len(whole) in (8, 10, 13)
    torch.load(saved, weights_only=True)


def _once(file: Path, at: int, run: Callable[[], Any]) -> Any:
    class Save(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
            if index + 1 == at:
                trainer.save_checkpoint(file)

    with outlined.trainer_settings(callbacks=[Save()]):
        return run()


def test_large_containers_and_arrays_are_kept(tmp_path: Path) -> None:
    """A long history of floats, of integers, of pairs; a memory of tensors; a large array, dict and set."""

    def run() -> list[str]:
        torch.manual_seed(0)
        floats, counts, pairs = [0.5] * 12_000, deque([1] * 12_000), [(1, 0.5)] * 12_000
        memory: deque[Tensor] = deque((torch.zeros(2) for _ in range(1200)), maxlen=1202)
        table, known, array = dict.fromkeys(range(12000), 1.0), set(range(12_000)), np.zeros(20_000)
        said = []

        def training_step(index: int) -> None:
            value = torch.rand(2)
            floats.append(value[0].item())
            counts.append(index)
            pairs.append((index, value[1].item()))
            memory.append(value)
            table[index] = value[0].item()
            known.discard(index)
            array[index * 4000] = value[1].item()
            large = [floats[-3:], list(counts)[-3:], pairs[-3:], [m.tolist() for m in list(memory)[-3:]]]
            sizes = [len(floats), len(memory), memory.maxlen, len(known), type(counts).__name__]
            said.append(f"{large} {sum(table.values())} {array.sum()} {sizes}")

        outlined.fit(training_step, range(5))
        return said

    whole = _once(tmp_path / "now.ckpt", 3, run)
    with outlined.trainer_settings(ckpt_path=str(tmp_path / "now.ckpt")):
        assert run() == whole
    torch.load(tmp_path / "now.ckpt", weights_only=True)


def test_a_container_of_more_bytes_than_a_checkpoint_should_have_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set that is read into memory, say, as it goes."""
    monkeypatch.setattr("lab_adapters.outlined.packing.MANY", 100)
    monkeypatch.setattr("lab_adapters.outlined.packing.MOST_BYTES", 100)

    def run() -> None:
        cache = dict.fromkeys(range(-126, 0), torch.zeros(1))
        outlined.fit(lambda index: cache.__setitem__(index, torch.rand(2)), range(3))

    _once(tmp_path / "now.ckpt", 2, run)
    with (
        outlined.trainer_settings(ckpt_path=str(tmp_path / "now.ckpt")),
        pytest.warns(UserWarning, match=r"cache: its 128 entries \(Tensor, int\) are not kept"),
    ):
        run()


def test_a_large_container_that_does_not_change_is_not_kept(tmp_path: Path) -> None:
    """The entries of a data set: neither in the checkpoint nor warned of."""
    samples = [(f"{n}.png", n) for n in range(12_000)]

    def run() -> None:
        seen = [0]

        def training_step(index: int) -> None:
            seen[0] += samples[index][1]

        outlined.fit(training_step, range(3))

    _once(tmp_path / "now.ckpt", 2, run)
    assert set(torch.load(tmp_path / "now.ckpt")["outlined"]["carried"]) == {"seen"}


class Transition:
    """An entry that no checkpoint holds."""


def test_a_container_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    """A memory of objects; one that each iteration makes anew carries nothing."""

    def run() -> None:
        memory, latest = [Transition()] * 100, None

        def training_step(index: int) -> None:
            nonlocal latest
            memory.append(Transition())
            latest = [Transition()]

        outlined.fit(training_step, range(3))

    _once(tmp_path / "now.ckpt", 2, run)
    with (
        outlined.trainer_settings(ckpt_path=str(tmp_path / "now.ckpt")),
        pytest.warns(UserWarning, match=r"resume: memory: its 102 entries \(Transition\) are not kept") as said,
    ):
        run()
    assert not any("latest" in str(one.message) for one in said)


def test_a_beginning_that_names_what_is_too_large_to_be_held_is_said(tmp_path: Path) -> None:
    """Unmarked, a long history is held for no epoch's beginning; what only the batches name is nothing to say."""

    def run() -> None:
        history, other, total = [0.5] * 1200, [0.5] * 1200, 0.0

        def epoch_loop(epoch: int) -> Iterator[Any]:
            first = history[-1]

            def training_step(index: int) -> None:
                nonlocal total
                total += first
                history.append(total)
                other.append(total)

            yield from outlined.steps(training_step, range(3))

        outlined.fit(epoch_loop, range(3))

    _once(tmp_path / "now.ckpt", 5, run)
    with (
        outlined.trainer_settings(ckpt_path=str(tmp_path / "now.ckpt")),
        pytest.warns(UserWarning, match="the beginning of epoch_loop names history, which is too large") as said,
    ):
        run()
    assert not any("other" in str(one.message) for one in said)
