"""Lab's trainer: resume is bitwise, evaluation leaves no trace, errors say where."""

from __future__ import annotations

import json
from pathlib import Path

import gin
import numpy as np
import pytest
import torch

from legacy_lab import ConfigError, Trainer, load_config

EXAMPLES = Path(__file__).parents[2] / "examples"
CHAR = EXAMPLES / "char_model" / "char_model.gin"


@pytest.fixture(autouse=True)
def _clean_gin():
    yield
    gin.clear_config()


def trainer(run_dir: Path, *bindings: str) -> Trainer:
    """A small character model."""
    short = ["Trainer.steps = 8", "Trainer.eval_every = 3", "Trainer.eval_batches = 1", "WarmupCosine.warmup = 2"]
    load_config(CHAR, [*short, f"Trainer.run_dir = '{run_dir}'", *bindings])
    return Trainer()


def weights(of: Trainer) -> list[torch.Tensor]:
    """The parameters and the average."""
    assert of.ema is not None
    return [*of.model.state_dict().values(), *of.ema.average.values()]


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    """From a checkpoint in mid-epoch, in a process whose generators stood elsewhere."""
    whole = trainer(tmp_path / "whole", "Trainer.checkpoint_every = 5")
    whole.train()
    torch.rand(17), np.random.rand(3)
    resumed = trainer(tmp_path / "resumed")
    resumed.train(resume=tmp_path / "whole" / "step_00000005.lab")
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    assert torch.equal(whole.loader.generator.get_state(), resumed.loader.generator.get_state())


def test_latest_is_the_newest_checkpoint(tmp_path: Path) -> None:
    """And a run folder without one is an error with its path."""
    trainer(tmp_path, "Trainer.checkpoint_every = 4").train()
    resumed = trainer(tmp_path)
    resumed.train(resume="latest")
    assert resumed.step == 8
    with pytest.raises(FileNotFoundError, match=r"expected a checkpoint step_\*\.lab"):
        trainer(tmp_path / "empty").train(resume="latest")


def test_evaluation_between_steps_changes_no_number(tmp_path: Path) -> None:
    """With EMA weights swapped in and out, the training is that without evaluation."""
    with_, without = trainer(tmp_path / "a"), trainer(tmp_path / "b", "Trainer.eval_every = 0")
    torch.manual_seed(1)
    with_.train()
    torch.manual_seed(1)
    without.train()
    assert all(torch.equal(a, b) for a, b in zip(weights(with_), weights(without), strict=True))


def test_the_run_folder_holds_config_and_metrics(tmp_path: Path) -> None:
    """Metrics are JSON lines with their step."""
    trainer(tmp_path, "Trainer.log_every = 4").train()
    assert "Trainer.steps = 8" in (tmp_path / "config.gin").read_text()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 4, 6, 8]
    assert "eval/loss" in lines[0]


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    """With its path, and without unpickling it."""
    from legacy_lab.train.checkpoint import CheckpointError

    bad = tmp_path / "bad.lab"
    bad.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"bad\.lab: expected a Lab checkpoint"):
        trainer(tmp_path).train(resume=bad)
    torch.save({"weights": 1}, bad)
    with pytest.raises(CheckpointError, match="expected a checkpoint of format 'lab-1'"):
        trainer(tmp_path).train(resume=bad)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Adm.lr = 1.0", r"bad\.gin:2: .*Did you mean 'Adam'"),
        ("Adam.lrr = 1.0", r"bad\.gin:2: .*Did you mean 'lr'"),
        ("Trainer.model = @Modell", r"bad\.gin.*Did you mean 'Model'"),
        ("Adam.lr = = 1", r"bad\.gin:2: "),
    ],
)
def test_a_mistake_in_a_config_is_placed(tmp_path: Path, line: str, said: str) -> None:
    """File, line, and the nearest name that exists."""
    bad = tmp_path / "bad.gin"
    bad.write_text(f"# a comment\n{line}\n")
    with pytest.raises(ConfigError, match=said):
        load_config(bad)


def test_a_missing_config_is_named() -> None:
    """Not as a traceback from inside gin."""
    with pytest.raises(ConfigError, match=r"nowhere\.gin: no such config file"):
        load_config("nowhere.gin")
