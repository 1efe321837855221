"""The drop-in Trainer: Lab's numbers, Lightning's callbacks, checkpoints of both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

import legacy_lab
from lab_bridge import Trainer

PROJECTS = ("digits_vae", "digits_classifier", "char_model")
Build = Callable[..., Any]


@pytest.fixture(params=["slim", "stock"])
def loop(request: pytest.FixtureRequest) -> str:
    """Every fact of this file holds on both loops."""
    return str(request.param)


def same(a: legacy_lab.Trainer, b: legacy_lab.Trainer) -> bool:
    """Weights, buffers, average, optimizer state, loader and generators, bitwise."""
    left, right = _flat(a.state()), _flat(b.state())
    return left.keys() == right.keys() and all(
        torch.equal(value, right[key]) if isinstance(value, torch.Tensor) else value == right[key]
        for key, value in left.items()
        if key != "/config"
    )


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: leaf for name, inner in value.items() for key, leaf in _flat(inner, f"{path}/{name}").items()}
    if isinstance(value, list | tuple):
        return {key: leaf for i, inner in enumerate(value) for key, leaf in _flat(inner, f"{path}/{i}").items()}
    return {path: value}


@pytest.mark.parametrize("project", PROJECTS)
def test_the_drop_in_trains_bitwise_as_lab_does(build: Build, tmp_path: Path, project: str) -> None:
    """State, returned metrics and the tracker's files, after steps with evaluations between them."""
    legacy, migrated = build(legacy_lab.Trainer, project, "legacy"), None
    returned = legacy.train()
    migrated = build(Trainer, project, "migrated")
    assert migrated.train() == returned
    assert same(legacy, migrated)
    assert migrated.lightning.global_step == 12
    assert (tmp_path / "legacy/metrics.jsonl").read_text() == (tmp_path / "migrated/metrics.jsonl").read_text()


def test_sameness_can_fail(build: Build) -> None:
    """The comparison above sees one ulp in one weight."""
    a, b = build(legacy_lab.Trainer, "char_model", "a"), build(legacy_lab.Trainer, "char_model", "b")
    assert same(a, b)
    with torch.no_grad():
        weight = next(b.model.parameters()).view(-1)
        weight[0] = torch.nextafter(weight[0], torch.tensor(torch.inf))
    assert not same(a, b)


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty")
@pytest.mark.parametrize("at", [4, 7])
def test_a_migrated_run_resumes_from_its_own_checkpoint(build: Build, tmp_path: Path, at: int) -> None:
    """Written by Lightning's ModelCheckpoint in mid-epoch; loaded with weights_only."""
    whole = build(legacy_lab.Trainer, "digits_vae", "whole")
    whole.train()
    saver = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=at, save_top_k=-1)
    interrupted = build(Trainer, "digits_vae", "interrupted", f"Trainer.steps = {at}", lightning={"callbacks": [saver]})
    interrupted.train()
    torch.rand(5)
    resumed = build(Trainer, "digits_vae", "resumed", lightning={"callbacks": [_again(saver)]})
    resumed.train(resume=saver.best_model_path)
    assert same(whole, resumed)
    assert (resumed.step, resumed.lightning.global_step) == (12, 12)


def _again(saver: ModelCheckpoint) -> ModelCheckpoint:
    return ModelCheckpoint(saver.dirpath, every_n_train_steps=saver._every_n_train_steps, save_top_k=-1)


def test_each_trainer_resumes_from_the_others_checkpoint(build: Build, tmp_path: Path) -> None:
    """A legacy checkpoint under Lightning, and what the drop-in wrote under Lab."""
    whole = build(legacy_lab.Trainer, "digits_vae", "whole", "Trainer.checkpoint_every = 5")
    whole.train()
    onward = build(Trainer, "digits_vae", "onward", "Trainer.checkpoint_every = 5")
    onward.train(resume=tmp_path / "whole/step_00000005.lab")
    assert same(whole, onward)
    assert onward.lightning.global_step == 12
    back = build(legacy_lab.Trainer, "digits_vae", "back")
    back.train(resume=tmp_path / "onward/step_00000010.lab")
    assert same(whole, back)


def test_lightnings_callbacks_and_loggers_see_every_step(build: Build, tmp_path: Path) -> None:
    """And change no number."""
    seen: list[tuple[int, int]] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            seen.append((trainer.global_step, trainer.lightning_module.legacy.step))  # type: ignore[operator, union-attr]

    logger = CSVLogger(tmp_path / "csv")
    plain = build(legacy_lab.Trainer, "char_model", "plain")
    plain.train()
    arguments = {"callbacks": [Watch(), LearningRateMonitor("step")], "logger": logger, "log_every_n_steps": 4}
    watched = build(Trainer, "char_model", "watched", lightning=arguments)
    watched.train()
    assert same(plain, watched)
    assert seen == [(step, step) for step in range(1, 13)]
    logged = (Path(logger.log_dir) / "metrics.csv").read_text()
    assert "loss" in logged
    assert "lr-OptimizerAdapter" in logged


def test_a_step_callback_may_stop_the_training(build: Build) -> None:
    """`trainer.should_stop`, Lightning's own way."""

    class Stop(Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            trainer.should_stop = trainer.global_step == 4

    trainer = build(Trainer, "char_model", "stopped", lightning={"callbacks": [Stop()]})
    trainer.train()
    assert trainer.step == 4


def test_hooks_are_called_in_the_legacy_order(build: Build) -> None:
    """The same calls, at the same steps, on both sides."""
    from legacy_lab.train.hooks import Hook

    class Log(Hook):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def __getattribute__(self, name: str) -> Any:
            if name.startswith(("before_", "after_")):
                return lambda trainer, *rest: self.calls.append(f"{name}@{trainer.step}")
            return super().__getattribute__(name)

    logs = [Log(), Log()]
    for log, cls in zip(logs, (legacy_lab.Trainer, Trainer), strict=True):
        build(cls, "char_model", cls.__module__, "Trainer.steps = 5", hooks=[log]).train()
    assert logs[0].calls == logs[1].calls
    assert logs[0].calls[0] == "before_train@0"
    assert "after_eval@5" in logs[0].calls


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty")
def test_what_a_subclass_overrides_is_called_where_lab_called_it(build: Build) -> None:
    """Every public method but the loop itself and `load`: the same calls in the same order on the drop-in."""
    names = ("before_train", "train_step", "compute", "after_step", "after_train", "evaluate", "log", "save", "state")

    def noting(cls: type, calls: list[str]) -> type:
        def own(name: str) -> Any:
            def method(self: Any, *arguments: Any) -> Any:
                calls.append(f"{name}@{self.step}")
                return getattr(cls, name)(self, *arguments)

            return method

        return type("Mine", (cls,), {name: own(name) for name in names})

    noted: list[list[str]] = [[], []]
    for calls, cls in zip(noted, (legacy_lab.Trainer, Trainer), strict=True):
        name = cls.__module__
        build(noting(cls, calls), "char_model", name, "Trainer.steps = 6", "Trainer.checkpoint_every = 3").train()
    assert noted[0] == noted[1]
    assert {call.split("@")[0] for call in noted[0]} == set(names)


def test_a_load_of_a_subclass_is_refused_where_it_would_not_be_called(build: Build, tmp_path: Path) -> None:
    """Lightning reads the file of a resumed run; `load_state` is called with what it holds."""
    build(legacy_lab.Trainer, "char_model", "whole", "Trainer.checkpoint_every = 4").train()
    path = tmp_path / "whole" / "step_00000004.lab"
    loaded: list[int] = []

    class Loads(Trainer):
        def load(self, path: str | Path) -> None:
            raise AssertionError

    class LoadsState(Trainer):
        def load_state(self, state: dict[str, Any]) -> None:
            super().load_state(state)
            loaded.append(self.step)

    build(Loads, "char_model", "fresh", "Trainer.steps = 1").train()
    with pytest.raises(TypeError, match=r"found Loads\.load, which Lightning"):
        build(Loads, "char_model", "resumed").train(resume=path)
    build(LoadsState, "char_model", "state").train(resume=path)
    assert loaded == [4]


def test_an_exception_in_a_step_reaches_the_caller(build: Build) -> None:
    """Unchanged, and the tracker is closed."""
    trainer = build(Trainer, "char_model", "broken")
    trainer.objective = lambda model, batch: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    with pytest.raises(RuntimeError, match=r"expected start\(\)"):
        trainer.tracker.log(0, {})


def test_a_loader_that_ends_early_ends_the_training_as_it_did(build: Build) -> None:
    """By `StopIteration`, which Lightning would take for the training's end, without a word."""
    for cls in (legacy_lab.Trainer, Trainer):
        trainer = build(cls, "char_model", cls.__module__)
        batches = iter([trainer.loader.next_batch() for _ in range(3)])
        trainer.loader.next_batch = lambda left=batches: next(left)
        with pytest.raises(StopIteration):
            trainer.train()
        assert trainer.step == 3


def test_a_missing_checkpoint_is_an_error_with_its_path(build: Build) -> None:
    """Before anything is trained."""
    with pytest.raises(FileNotFoundError, match=r"nowhere\.lab: no such checkpoint"):
        build(Trainer, "char_model", "x").train(resume="nowhere.lab")


def test_a_checkpoint_of_another_module_is_refused(build: Build, tmp_path: Path) -> None:
    """It lacks loader and generators: a resume from it would differ silently."""
    path = tmp_path / "other.ckpt"
    torch.save(
        {"state_dict": {}, "pytorch-lightning_version": "2.6.0", "epoch": 0, "global_step": 0, "loops": {}}, path
    )
    with pytest.raises(KeyError, match="legacy_training"):
        build(Trainer, "char_model", "x").train(resume=path)


def test_lightning_prints_nothing_of_its_own(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    """A program that printed nothing goes on printing nothing."""
    build(Trainer, "char_model", "silent", "Trainer.steps = 2").train()
    out, err = capfd.readouterr()
    assert json.dumps([out, err]) == '["", ""]'


def test_lightning_is_imported_behind_what_a_project_imports_while_its_parts_are_made() -> None:
    """What is imported may draw from Python's generator, as rich does, which Lightning imports, too, and scikit-learn.

    Were Lightning first, that would draw no more, and a project that has seeded the generator shuffled otherwise.
    """
    program = """
        import random
        import torch
        from lab_bridge import Trainer
        from legacy_lab.optim.sgd import SGD

        def loader():
            import rich.style  # draws 24 bits

        random.seed(1)
        Trainer(lambda: torch.nn.Linear(1, 1), None, SGD, loader, 1)
        found = random.getstate()
        random.seed(1)
        random.getrandbits(24)
        print(found == random.getstate())
    """
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr
