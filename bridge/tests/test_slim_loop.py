"""The slim loop: whatever can be seen of it is what can be seen of Lightning's own loop."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import lightning.pytorch as pl
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from torch import Tensor

import legacy_lab
from lab_adapters import slim_loop_ground
from lab_adapters.faithful_settings import faithful, quiet
from lab_adapters.lean_module import LeanModule
from lab_adapters.loader import TokenLoader
from lab_adapters.progress_bar import CalmProgressBar
from lab_adapters.slim_loop import SlimEpochLoop, slim
from lab_bridge import Trainer

Build = Callable[..., Any]
STATEFUL_HOOKS = ("state_dict", "load_state_dict", "state_key", "on_save_checkpoint", "on_load_checkpoint")
HOOKS = [name for name in vars(Callback) if not name.startswith("_") and name not in STATEFUL_HOOKS]


@attrs.frozen
class Log:
    """A call of `self.log` from a hook or from `training_step`."""

    where: str
    name: str
    on_step: bool | None = None
    on_epoch: bool | None = None
    prog_bar: bool = True
    every: int = 1


@attrs.frozen
class Script:
    """What happens in a training, by the number of the batch at which it happens."""

    batches: int = 5
    epochs: int = 1
    max_steps: int = -1
    min_steps: int | None = None
    log_every: int = 2
    returns: str = "nothing"
    logs: tuple[Log, ...] = ()
    looks: bool = True  #: whether the callback reads the trainer's metrics in every hook
    with_logger: bool = True
    stop_at: int | None = None
    skip_at: int | None = None
    stop_iteration_at: int | None = None
    sigterm_at: int | None = None
    breaks_at: tuple[str, int] | None = None


class Scripted(LeanModule):
    """One weight, stepped by hand through Lightning's wrapped optimizer."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.script = script
        self.seen = 0

    def configure_optimizers(self) -> Any:
        """Torch's own."""
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_train_batch_start(self, batch: int, batch_idx: int) -> int | None:
        """Skips the rest of the epoch where the script says so."""
        self.seen += 1
        self.tell("on_train_batch_start")
        return -1 if self.seen == self.script.skip_at else None

    def training_step(self, batch: int, batch_idx: int) -> Any:
        """One step by hand."""
        optimizer: Any = self.optimizers()
        loss = ((self.weight - batch) ** 2).sum()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.log_step({"loss": loss, "twice": loss.double() * 2, "count": batch_idx})
        self.tell("training_step")
        if self.seen == self.script.stop_iteration_at:
            raise StopIteration
        return {"nothing": None, "tensor": loss, "dict": {"loss": loss, "batch": batch}}[self.script.returns]

    def on_train_batch_end(self, outputs: Any, batch: int, batch_idx: int) -> None:
        """Stops where the script says so."""
        self.tell("on_train_batch_end")
        self.trainer.should_stop = self.trainer.should_stop or self.seen == self.script.stop_at

    def tell(self, where: str) -> None:
        """Log, and break, as the script says."""
        for log in self.script.logs:
            if log.where == where and self.seen % log.every == 0:
                value = self.weight.detach().sum()
                self.log(
                    log.name, value, on_step=log.on_step, on_epoch=log.on_epoch, prog_bar=log.prog_bar, batch_size=1
                )
        if self.script.breaks_at == (where, self.seen):
            raise ZeroDivisionError(where)


class Spy(Callback):
    """Notes every hook with its arguments and all that it could see: counters of all loops, metrics, stage."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.notes: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        if name not in HOOKS:
            return super().__getattribute__(name)

        def hook(trainer: pl.Trainer, module: Any, *args: Any, **kwargs: Any) -> None:
            fetcher = trainer.fit_loop._data_fetcher
            note = {
                "hook": name,
                "args": _plain((args, kwargs)),
                "fx": module._current_fx_name,
                "loops": copy.deepcopy(trainer.fit_loop.state_dict()),
                "weight": module.weight.tolist(),
                "counters": (trainer.global_step, trainer.current_epoch, trainer.should_stop, str(trainer.state.stage)),
                "fetched": (fetcher.fetched, fetcher.done) if fetcher is not None else None,
                "last": trainer.is_last_batch,
            }
            if self.script.looks:
                note["metrics"] = _metrics(trainer)
            self.notes.append(note)
            if name == "on_train_batch_end":
                module.log("by_callback", 0.5, on_epoch=True, batch_size=2)
                trainer._signal_connector.received_sigterm |= module.seen == self.script.sigterm_at

        return hook


class NotingLogger(Logger):
    """Notes what it is given."""

    name, version = "noting", 0

    def __init__(self) -> None:
        self.notes: list[Any] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Note them."""
        self.notes.append((dict(metrics), step))

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def save(self) -> None:
        """Note it."""
        self.notes.append("save")


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return ("tensor", value.requires_grad, value.tolist())
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return repr(value)


def _metrics(trainer: pl.Trainer) -> list[Any]:
    return [
        {key: (type(value).__name__, float(value)) for key, value in metrics.items()}
        for metrics in (trainer.callback_metrics, trainer.progress_bar_metrics, trainer.logged_metrics)
    ]


def play(script: Script, loop: str) -> dict[str, Any]:
    """Train as the script says; all that could be noted on the way."""
    spy, logger, module = Spy(script), NotingLogger(), Scripted(script)
    arguments = faithful(
        max_epochs=script.epochs,
        max_steps=script.max_steps,
        min_steps=script.min_steps,
        callbacks=[spy],
        log_every_n_steps=script.log_every,
        logger=logger if script.with_logger else False,
    )
    error = None
    with quiet(), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trainer = pl.Trainer(**arguments)
        if loop == "slim":
            assert slim(trainer)
        try:
            trainer.fit(module, TokenLoader(script.batches))
        except (ZeroDivisionError, SystemExit) as raised:
            error = repr(raised)
    if loop == "slim":
        assert trainer.fit_loop.epoch_loop.obstacles == []  # type: ignore[attr-defined]
    return {
        "notes": spy.notes,
        "logged": logger.notes,
        "error": error,
        # Not the torch deprecation that the stock loop runs into at each batch.
        "warned": [str(warning.message) for warning in warned if warning.category is not FutureWarning],
        "metrics": _metrics(trainer),
        "loops": trainer.fit_loop.state_dict(),
        "fx": module._current_fx_name,
    }


places = st.sampled_from(["on_train_batch_start", "training_step", "on_train_batch_end"])
moments = st.none() | st.integers(1, 9)
flags = st.sampled_from([(None, None), (True, False), (False, True), (True, True)])
logs = st.builds(
    lambda where, flags, prog_bar, every: Log(where, f"of_{where}_{flags}", *flags, prog_bar, every),
    places, flags, st.booleans(), st.integers(1, 3),
)  # fmt: skip
scripts = st.builds(
    Script,
    batches=st.integers(1, 5),
    epochs=st.integers(1, 3),
    max_steps=st.sampled_from([-1, -1, 1, 4, 7]),
    min_steps=st.sampled_from([None, None, 3]),
    log_every=st.integers(0, 3),
    returns=st.sampled_from(["nothing", "tensor", "dict"]),
    logs=st.lists(logs, max_size=3, unique_by=lambda log: log.name).map(tuple),
    looks=st.booleans(),
    with_logger=st.booleans(),
    stop_at=moments,
    skip_at=moments,
    stop_iteration_at=moments,
    sigterm_at=st.sampled_from([None, None, None, 3, 5]),
    breaks_at=st.none() | st.none() | st.tuples(places, st.integers(1, 5)),
)


@given(scripts)
@example(Script(batches=2, epochs=2, stop_iteration_at=2, sigterm_at=3))  # the hook's name stays after StopIteration
@example(
    Script(batches=2, looks=False, logs=(Log("on_train_batch_start", "x"),), breaks_at=("on_train_batch_start", 2))
)
@settings(max_examples=120, deadline=None)
def test_every_hook_sees_the_same_on_both_loops(script: Script) -> None:
    """Hooks, arguments, counters, metrics and what loggers get, wherever a training stops, skips, breaks or logs."""
    assert play(script, "slim") == play(script, "stock")


def test_the_comparison_sees_a_hook_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the test: a loop that forgets the module's last hook of each batch is found."""
    stock = play(Script(), "stock")
    monkeypatch.setattr(Scripted, "on_train_batch_end", lambda *_: None)
    assert play(Script(stop_at=2), "slim") == stock  # the patched module stops nothing
    monkeypatch.undo()
    assert play(Script(stop_at=2), "slim") != stock


@pytest.mark.parametrize("first", ["slim", "stock"])
@pytest.mark.parametrize("second", ["slim", "stock"])
def test_checkpoints_of_either_loop_resume_under_the_other(
    build: Build, tmp_path: Path, first: str, second: str
) -> None:
    """Bitwise; and the Lightning checkpoints of both loops hold the same."""
    whole = build(legacy_lab.Trainer, "digits_vae", "whole")
    whole.train()
    saver = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=5, save_top_k=-1)
    begun = build(Trainer, "digits_vae", "begun", "Trainer.steps = 5", lightning={"callbacks": [saver]}, loop=first)
    begun.train()
    went_on = build(Trainer, "digits_vae", "went_on", loop=second)
    with pytest.warns(UserWarning, match="callbacks used to create the checkpoint"):
        went_on.train(resume=saver.best_model_path)
    assert took(begun) == (first == "slim")
    assert took(went_on) == (second == "slim")
    assert _plain(went_on.state()["model"]) == _plain(whole.state()["model"])
    assert _plain(went_on.state()) == _plain({**whole.state(), "config": went_on.state()["config"]})
    assert went_on.lightning.global_step == 12


def took(trainer: Trainer) -> bool:
    """Whether the drop-in took the slim loop."""
    assert trainer.lightning is not None
    loop = trainer.lightning.fit_loop.epoch_loop
    return isinstance(loop, SlimEpochLoop) and not loop.obstacles


def test_lightning_checkpoints_hold_the_same_on_both_loops(build: Build, tmp_path: Path) -> None:
    """Every entry, the loops' counters among them."""
    held = []
    for loop in ("slim", "stock"):
        saver = ModelCheckpoint(tmp_path / loop, every_n_train_steps=3, save_top_k=-1, filename="at_{step}")
        build(Trainer, "char_model", "run", loop=loop, lightning={"callbacks": [saver]}).train()
        found = {path.name: torch.load(path, weights_only=True) for path in sorted((tmp_path / loop).iterdir())}
        held.append({name: _plain(_without_paths(checkpoint)) for name, checkpoint in found.items()})
    assert held[0] == held[1]
    assert len(held[0]) == 4


def _without_paths(checkpoint: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in checkpoint.items() if key != "callbacks"}


@pytest.mark.parametrize("loop", ["slim", "stock"])
def test_a_metric_can_stop_the_training(build: Build, loop: str) -> None:
    """EarlyStopping reads what the legacy step returned, without bar, logger or checkpoint around."""
    stopping = EarlyStopping("loss", check_on_train_epoch_end=True)
    trainer = build(Trainer, "char_model", "run", loop=loop, lightning={"callbacks": [stopping]})
    trainer.train()
    assert torch.isfinite(stopping.best_score)


def test_the_drop_in_takes_the_slim_loop(build: Build, tmp_path: Path) -> None:
    """With everything that people usually add; `loop="stock"` does not take it."""
    added = {
        "callbacks": [ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=5, monitor="loss")],
        "logger": CSVLogger(tmp_path),
        "log_every_n_steps": 2,
    }
    trainer = build(Trainer, "char_model", "slim", lightning=added)
    trainer.train()
    assert took(trainer)
    stock = build(Trainer, "char_model", "stock", loop="stock")
    stock.train()
    assert not took(stock)
    with pytest.raises(ValueError, match=r'expected "slim" or "stock", found "fast"|found \'fast\''):
        build(Trainer, "char_model", "x", loop="fast")


class Validated(Scripted):
    """Has a validation loop."""

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Nothing."""

    def val_dataloader(self) -> Any:
        """One token."""
        return TokenLoader(1)


class Automatic(Scripted):
    """Left to Lightning."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.automatic_optimization = True

    def training_step(self, batch: int, batch_idx: int) -> Any:
        """A loss."""
        return self.weight.sum()


class Transferring(Scripted):
    """Looks at the batch on its way."""

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Nothing."""
        return batch


def _patched(trainer: pl.Trainer) -> None:
    trainer.strategy.training_step = trainer.strategy.training_step  # type: ignore[method-assign]


UNUSUAL: dict[str, tuple[type[Scripted], dict[str, Any], Any, Callable[[pl.Trainer], None] | None, str]] = {
    "a profiler": (Scripted, {"profiler": "simple"}, None, None, "found a SimpleProfiler"),
    "another precision": (Scripted, {"precision": "bf16-mixed"}, None, None, "found a MixedPrecision"),
    "another loader": (Scripted, {}, [1.0, 2.0, 3.0], None, "expected a TokenLoader, found a list"),
    "validation": (Validated, {}, None, None, "a validation loop"),
    "automatic optimization": (Automatic, {}, None, None, "automatic optimization"),
    "a transfer hook": (Transferring, {}, None, None, "overrides transfer_batch_to_device"),
    "a patched strategy": (Scripted, {}, None, _patched, "training_step was replaced"),
    "fast_dev_run": (Scripted, {"fast_dev_run": 2}, None, None, "fast_dev_run"),
}


@pytest.mark.parametrize("case", UNUSUAL)
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*self.log.*logger")
def test_anything_unusual_takes_lightnings_own_loop_and_says_so(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """In a log line that names it; the training runs all the same."""
    kind, arguments, loader, change, reason = UNUSUAL[case]
    caplog.set_level(logging.INFO, "lab_adapters.slim_loop")
    with quiet():
        trainer = pl.Trainer(**faithful(**arguments))
        assert slim(trainer)
        if change is not None:
            change(trainer)
        trainer.fit(kind(Script()), loader if loader is not None else TokenLoader(3))
    assert trainer.global_step in (2, 3)
    (obstacle,) = trainer.fit_loop.epoch_loop.obstacles  # type: ignore[attr-defined]
    assert reason in obstacle
    assert [obstacle in record.getMessage() for record in caplog.records] == [True]


def test_lightnings_debug_log_takes_its_own_loop() -> None:
    """It tells of every hook that is called; the slim loop would be silent."""
    talking = logging.getLogger("lightning.pytorch.trainer.call")
    before = talking.level
    talking.setLevel(logging.DEBUG)
    try:
        trainer = pl.Trainer(**faithful())
        slim(trainer)
        trainer.fit(Scripted(Script()), TokenLoader(2))
    finally:
        talking.setLevel(before)
    assert "debug log" in trainer.fit_loop.epoch_loop.obstacles[0]  # type: ignore[attr-defined]


@pytest.fixture
def _fresh_fingerprint() -> Iterator[None]:
    slim_loop_ground.fingerprint.cache_clear()
    yield
    slim_loop_ground.fingerprint.cache_clear()


@pytest.mark.usefixtures("_fresh_fingerprint")
def test_a_lightning_that_reads_otherwise_keeps_its_own_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A version nobody has tested, or a function that something has patched."""
    assert slim_loop_ground.strange_ground() == []
    slim_loop_ground.fingerprint.cache_clear()

    def advance(self: Any, data_fetcher: Any) -> None:
        """Not Lightning's."""

    caplog.set_level(logging.INFO, "lab_adapters.slim_loop")
    with monkeypatch.context() as patch:
        patch.setattr(_TrainingEpochLoop, "advance", advance)
        trainer = pl.Trainer(**faithful())
        assert not slim(trainer)
        assert type(trainer.fit_loop.epoch_loop) is _TrainingEpochLoop
    assert "or was patched" in caplog.text


def test_a_replaced_epoch_loop_is_left_in_place() -> None:
    """Somebody else's loop is somebody's purpose; installing twice is refused for the same reason."""
    trainer = pl.Trainer(**faithful())
    assert slim(trainer)
    assert not slim(trainer)
    assert type(trainer.fit_loop.epoch_loop) is SlimEpochLoop


def test_the_calm_bar_draws_by_the_clock_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning's own asks how many batches have passed."""
    now = [0.0]
    monkeypatch.setattr("lab_adapters.progress_bar.monotonic", lambda: now[0])
    bar = CalmProgressBar(interval=0.1)
    drawn = []
    for batch in range(1, 101):
        now[0] += 0.004
        if bar._should_update(batch, 100):
            drawn.append(batch)
    assert drawn == [1, 26, 51, 76, 100]
    bar.disable()
    assert not bar._should_update(100, 100)


def test_a_lean_module_registers_what_a_module_registers() -> None:
    """Parameters, buffers and submodules through the same `__setattr__`; the hook's name stays a plain attribute."""
    module = Scripted(Script())
    module.inner = torch.nn.Linear(2, 2)
    module._current_fx_name = "training_step"
    assert [name for name, _ in module.named_parameters()] == ["weight", "inner.weight", "inner.bias"]
    assert module.__dict__["_current_fx_name"] == "training_step"
