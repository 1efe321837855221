"""Outlined loops: Lightning drives them, counts their steps, saves and resumes them bitwise."""

from __future__ import annotations

import signal
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from lab_adapters import outlined


class Counting(pl.Callback):
    """Notes Lightning's own counters after each batch."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Note."""
        self.steps.append(trainer.global_step)


class Meter:
    """An average, as training code writes it."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def update(self, value: float) -> None:
        """Add a value."""
        self.total, self.count = self.total + value, self.count + 1


def training(print_: Callable[..., None]) -> Callable[[], None]:
    """A training as `convert` leaves it: epochs in one function, batches in another, state of every kind."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.3), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    loader = torch.utils.data.DataLoader(torch.randn(20, 3), batch_size=4, shuffle=True)
    history: list[float] = []

    @outlined.loop
    def train_epoch(epoch: int) -> Any:
        meter = Meter()
        last = None

        def training_step(item: Any) -> Any:
            nonlocal last
            index, batch = item
            loss = model(batch).pow(2).mean() / 2
            loss.backward()
            if index % 2:
                optimizer.step()
                optimizer.zero_grad()
            meter.update(loss.item())
            history.append(loss.item())
            last = index

        yield from outlined.steps(training_step, enumerate(loader))
        return meter.total / meter.count, last

    def run() -> None:
        best = 1e9

        def epoch_loop(epoch: int) -> Any:
            nonlocal best
            mean, last = yield from outlined.call(train_epoch, epoch)
            best = min(best, mean)
            schedule.step()
            print_(epoch, mean.hex(), last, best.hex(), schedule.get_last_lr(), len(history))

        outlined.fit(epoch_loop, range(4))
        print_([value.hex() for value in history], [p.sum().item().hex() for p in model.parameters()], torch.rand(1))

    return run


def test_steps_count_as_the_legacy_optimizer_stepped() -> None:
    """Not batches: under accumulation Lightning's global step moves when the optimizer does."""
    counting = Counting()
    with outlined.trainer_settings(callbacks=[counting]):
        training(lambda *said: None)()
    assert len(counting.steps) == 20
    assert counting.steps[:6] == [0, 1, 1, 2, 2, 2]
    assert counting.steps[-1] == 8


@pytest.mark.parametrize("batches", [1, 4, 5, 6, 11, 20])
def test_a_resumed_run_is_bitwise_the_uninterrupted_one(tmp_path: Path, batches: int) -> None:
    """From any batch: mid-epoch, mid-accumulation, at an epoch's end, at the very end."""
    whole: list[str] = []
    saved = tmp_path / "now.ckpt"

    class Save(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
            if index + 1 == batches:
                trainer.save_checkpoint(saved)

    with outlined.trainer_settings(callbacks=[Save()]):
        training(lambda *said: whole.append(str(said)))()
    resumed: list[str] = []
    counting = Counting()
    with outlined.trainer_settings(ckpt_path=str(saved), callbacks=[counting]):
        training(lambda *said: resumed.append(str(said)))()
    assert resumed == whole[-len(resumed) :]
    assert resumed
    assert len(counting.steps) == 20 - batches


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    """With the key that was expected."""
    torch.save({"state_dict": {}, "pytorch-lightning_version": "2.6.6", "epoch": 0, "global_step": 0}, tmp_path / "x")
    with outlined.trainer_settings(ckpt_path=str(tmp_path / "x")), pytest.raises(KeyError, match="outlined"):
        training(print)()


def test_a_checkpoint_loads_without_unpickling_code(tmp_path: Path) -> None:
    """Plain values and tensors only."""
    saving = ModelCheckpoint(tmp_path, every_n_train_steps=3, save_top_k=-1)
    with outlined.trainer_settings(callbacks=[saving]):
        training(lambda *said: None)()
    loaded = torch.load(saving.best_model_path, weights_only=True)
    assert set(loaded["outlined"]) >= {"optimizers", "others", "grads", "carried", "places", "rng"}
    assert any(name.endswith("model.0.weight") for name in loaded["state_dict"])


def test_max_steps_ends_the_loop_and_runs_its_finally_blocks() -> None:
    """Lightning's own arguments hold."""
    said: list[str] = []
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def epoch(number: int) -> Any:
        def training_step(item: int) -> None:
            model(torch.ones(1)).sum().backward()
            optimizer.step()
            said.append("step")

        try:
            yield from outlined.steps(training_step, range(10))
        finally:
            said.append("finally")

    outlined.fit(epoch, range(2), max_steps=3)
    assert said == ["step"] * 3 + ["finally"]


def test_inside_a_fit_another_loop_simply_runs() -> None:
    """Lightning is around it already."""
    inner: list[int] = []

    def training_step(item: int) -> Any:
        assert outlined.fit(inner.append, range(3)) is None
        return outlined.BREAK if item else None

    assert outlined.fit(training_step, range(5)) is outlined.BREAK
    assert inner == [0, 1, 2, 0, 1, 2]


def test_a_marked_function_can_be_called_by_anyone() -> None:
    """A plain call is a fit of its own with the function's result; through a foreign decorator too."""
    items: list[int] = []

    @outlined.loop
    def train(count: int) -> Any:
        yield from outlined.steps(items.append, range(count))
        return "done"

    assert train(2) == "done"

    def epoch(number: int) -> Any:
        plain = yield from outlined.call(lambda count: count + 1, 41)
        found = yield from outlined.call(train, 1)
        items.append(plain)
        assert found == "done"

    outlined.fit(epoch, range(1))
    assert items == [0, 1, 0, 42]


def test_errors_reach_the_handlers_around_the_loop_first() -> None:
    """As themselves, from the body and from the code between two iterations."""
    said: list[str] = []

    def bad(item: int) -> None:
        if item == 1:
            raise ValueError("in the body")

    def epoch(number: int) -> Any:
        try:
            yield from outlined.steps(bad, range(3))
        except ValueError as error:
            said.append(str(error))
        if number == 1:
            raise KeyError("between")

    with pytest.raises(KeyError, match="between"):
        outlined.fit(epoch, range(3))
    assert said == ["in the body"] * 2


def test_a_keyboard_interrupt_stays_one() -> None:
    """Lightning would end the program; the program's own handler saves its model."""
    before = signal.getsignal(signal.SIGINT)

    def training_step(item: int) -> None:
        if item == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outlined.fit(training_step, range(3))
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_keeps_its_handler() -> None:
    """A legacy program dies of it, and so does the migrated one."""
    seen: list[Any] = []
    outlined.fit(lambda item: seen.append(signal.getsignal(signal.SIGTERM)), range(1))
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_modes_and_autograd_settings_are_the_programs_own() -> None:
    """`eval()` before the loop stays, anomaly detection too."""
    model = torch.nn.Linear(1, 1).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen: list[tuple[bool, bool]] = []

    def training_step(item: int) -> None:
        model(torch.ones(1)).sum().backward()
        optimizer.step()
        seen.append((model.training, torch.is_anomaly_enabled()))

    with torch.autograd.set_detect_anomaly(True):
        outlined.fit(training_step, range(1))
    outlined.fit(training_step, range(1))
    assert seen == [(False, True), (False, False)]


@pytest.mark.parametrize("logger", ["csv", "tensorboard"])
def test_scalars_that_the_program_writes_reach_lightnings_loggers(tmp_path: Path, logger: str) -> None:
    """Once each, with the program's own steps; its own files get them as before, and its class is itself again."""
    from torch.utils.tensorboard.writer import SummaryWriter

    own, before = SummaryWriter(str(tmp_path / "own")), SummaryWriter.add_scalar
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def training_step(item: int) -> None:
        model(torch.ones(1)).sum().backward()
        optimizer.step()
        own.add_scalar("loss", torch.tensor(float(item)), 10 * item)

    made: Any = {"csv": pl.loggers.CSVLogger, "tensorboard": pl.loggers.TensorBoardLogger}[logger](tmp_path)
    outlined.fit(training_step, range(3), logger=made)
    own.close()
    assert SummaryWriter.add_scalar is before
    assert read_scalars(tmp_path / "own") == [(0, 0.0), (10, 1.0), (20, 2.0)]
    if logger == "tensorboard":
        assert read_scalars(Path(made.log_dir)) == [(0, 0.0), (10, 1.0), (20, 2.0)]
    else:
        lines = (Path(made.log_dir) / "metrics.csv").read_text().split()
        assert lines == ["loss,step", "0.0,0", "1.0,10", "2.0,20"]


def read_scalars(folder: Path) -> list[tuple[int, float]]:
    """The (step, value) pairs of `loss` in a folder's event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [(one.step, one.value) for one in events.Scalars("loss")]


def test_an_error_shows_the_programs_frames_and_none_of_lightnings() -> None:
    """What a person reads is where their code failed; a cause stays. An error of Lightning's own keeps its frames."""

    def training_step(item: Any) -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("boom") from error

    with pytest.raises(ValueError, match="boom") as caught:
        outlined.fit(training_step, [1])
    modules = [frame.frame.f_globals["__name__"].partition(".")[0] for frame in caught.traceback]
    assert modules.count("lightning") == 0
    assert modules[-1] == __name__.partition(".")[0]
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(ValueError, match="strategy") as theirs:
        outlined.fit(training_step, [1], strategy="abacus")
    assert "lightning" in [frame.frame.f_globals["__name__"].partition(".")[0] for frame in theirs.traceback]


def test_scalars_of_a_wandb_run_reach_lightnings_loggers_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the module's `log` or the run's is called, though the one calls the other; pictures are left out."""
    seen: list[Any] = []

    class Run:
        def log(self, data: dict[str, Any], step: int | None = None) -> None:
            seen.append(data)

    module = types.ModuleType("wandb")
    run = Run()
    before = Run.log
    vars(module).update(run=run, log=lambda data, step=None: run.log(data, step))
    monkeypatch.setitem(sys.modules, "wandb", module)
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def training_step(item: int) -> None:
        model(torch.ones(1)).sum().backward()
        optimizer.step()
        (run.log if item else module.log)({"loss": torch.tensor(float(item)), "picture": "…"}, item)

    made = pl.loggers.CSVLogger(tmp_path)
    outlined.fit(training_step, range(2), logger=made)
    assert Run.log is before
    assert len(seen) == 2
    assert (Path(made.log_dir) / "metrics.csv").read_text().split() == ["loss,step", "0.0,0", "1.0,1"]


def feed(said: list[str]) -> Iterator[int]:
    """Items of a generator that says when it is closed."""
    try:
        yield from range(3)
    finally:
        said.append("closed")


def fail(item: int) -> None:
    """A body that raises at once."""
    raise ValueError(item)


@pytest.mark.parametrize("trains", [True, False])
def test_a_generator_is_closed_before_the_handlers(trains: bool) -> None:
    """As around a loop, whether it trains or only looks."""
    said: list[str] = []
    try:
        outlined.fit(fail, feed(said), trains=trains)
    except ValueError:
        said.append("caught")
    assert said == ["closed", "caught"]


@pytest.mark.parametrize("trains", [True, False])
def test_an_inner_generator_is_closed_before_the_handlers(trains: bool) -> None:
    """The same of a loop inside another one."""
    said: list[str] = []

    def epoch_loop(epoch: int) -> Iterator[Any]:
        try:
            yield from outlined.steps(fail, feed(said), trains=trains)
        except ValueError:
            said.append("caught")

    outlined.fit(epoch_loop, range(2))
    assert said == ["closed", "caught"] * 2
