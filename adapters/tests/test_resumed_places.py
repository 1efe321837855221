"""A resumed program finds its place: which training, which call, and what lies between them."""

from __future__ import annotations

import copy
import functools
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor

from lab_adapters import outlined

Said = list[str]
Training = Callable[[Said], None]


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
def test_a_call_that_has_returned_is_gone_past(checkpoint: Any, at: int) -> None:
    """What it returned is in the checkpoint; it prints nothing again, and what lies between saves no fresh weights."""

    def run() -> Said:
        said: Said = []
        phases(said)
        return said

    whole = checkpoint.written_at(at, run)
    assert checkpoint.resumed(run) == whole


def test_a_setting_that_a_resumed_run_changes_stays_changed(checkpoint: Any) -> None:
    """Only what the loop itself has changed is put back."""

    def run(rate: float) -> list[tuple[float, int]]:
        settings = Settings(rate)
        said: list[tuple[float, int]] = []

        def training_step(_: int) -> None:
            settings.seen += 1
            said.append((settings.rate, settings.seen))

        outlined.fit(training_step, range(4))
        return said

    checkpoint.written_at(2, lambda: run(0.1))
    assert checkpoint.resumed(lambda: run(0.5)) == [(0.1, 1), (0.1, 2), (0.5, 3), (0.5, 4)]


class Added:
    """A body that is no function."""

    def __init__(self, said: Said) -> None:
        self.said = said

    def __call__(self, index: int) -> None:
        """Say what was drawn."""
        self.said.append(f"{index} {torch.rand(1).item().hex()}")


@pytest.mark.parametrize("kind", [Added, lambda said: functools.partial(Added(said))])
def test_a_body_may_be_any_callable(checkpoint: Any, kind: Callable[[Said], Any]) -> None:
    """An object, a partial: they have no name, and their runs go on, too."""

    def run() -> Said:
        torch.manual_seed(0)
        said: Said = []
        outlined.fit(kind(said), range(4))
        return said

    whole = checkpoint.written_at(2, run)
    assert len(whole) == 4
    assert checkpoint.resumed(run)[-2:] == whole[-2:]


def local_names(said: Said, way: str) -> None:
    """What the code between two loops, and after them, reads of a list or a model that only the first one fills."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)

    @outlined.loop
    def client(inner: torch.nn.Module, losses: list[float]) -> Any:
        optimizer = torch.optim.SGD(inner.parameters(), 0.1)

        def training_step(batch: Tensor) -> None:
            loss = inner(batch).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

        yield from outlined.steps(training_step, torch.randn(2, 4, 3))

    @outlined.reads_models
    def epoch_loop(epoch: int) -> Any:
        losses: list[float] = []
        updates: list[dict[str, Tensor]] = []
        copied = copy.deepcopy(model)

        @outlined.reads_models
        def clients(number: int) -> Any:
            inner = copy.deepcopy(model)
            yield from outlined.call(client, inner, losses)
            updates.append(inner.state_dict())

        if way == "a loop":
            yield from outlined.steps(clients, range(2))
        else:
            yield from outlined.call(client, copied, losses)
            updates.append(copied.state_dict())
        model.load_state_dict({name: sum(one[name] for one in updates) / len(updates) for name in updates[0]})
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def training_step(batch: Tensor) -> None:
            optimizer.zero_grad()
            model(batch).sub(1).pow(2).mean().backward()
            optimizer.step()

        yield from outlined.steps(training_step, torch.randn(2, 4, 3))
        said.append(f"{epoch} {losses} {model.weight.sum().item().hex()} {copied.weight.sum().item().hex()}")

    outlined.fit(epoch_loop, range(2))


@pytest.mark.parametrize("at", [1, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("way", ["a loop", "a call"])
def test_what_only_an_earlier_loop_filled_is_carried(checkpoint: Any, way: str, at: int) -> None:
    """A list of the epoch's own, which no running loop has a name for; a model that a call was given to train."""

    def run() -> Said:
        said: Said = []
        local_names(said, way)
        return said

    whole = checkpoint.written_at(at, run)
    assert checkpoint.resumed(run) == whole


def from_epoch(first: int, last: int) -> None:
    """Two batches in each epoch from `first` to before `last`."""
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def epoch_loop(epoch: int) -> Any:
        def training_step(x: Tensor) -> None:
            model(x).sum().backward()
            optimizer.step()

        yield from outlined.steps(training_step, torch.ones(2, 3, 2))

    outlined.fit(epoch_loop, range(first, last))


@pytest.mark.parametrize("start", [1, 2])
def test_a_program_that_begins_elsewhere_is_refused(checkpoint: Any, start: int) -> None:
    """It goes on from a checkpoint of its own, so that the epoch of that place is another one."""
    checkpoint.written_at(3, lambda: from_epoch(0, 6))
    checkpoint.resumed(lambda: from_epoch(0, 6))
    with pytest.raises(ValueError, match=f"expected 1 for its item 2.*found {start + 1}; start the program as"):
        checkpoint.resumed(lambda: from_epoch(start, 6))


def test_a_program_that_ends_before_its_place_is_refused(checkpoint: Any) -> None:
    """Its epochs, from a checkpoint of its own on, are fewer than those that were used up."""
    checkpoint.written_at(5, lambda: from_epoch(0, 4))
    with pytest.raises(ValueError, match="found the end of the training; start the program as"):
        checkpoint.resumed(lambda: from_epoch(2, 4))
