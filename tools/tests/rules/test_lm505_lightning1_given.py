"""LM505: what Lightning 1.x gave to a hook, and took as an attribute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.tests.rules.lightning1_programs import converted, left_to_a_person

GIVEN = """
import argparse
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback


class Net(pl.LightningModule):
    def __init__(self, args):
        super().__init__()
        self.hparams = args
        self.body = torch.nn.Linear(4, self.hparams.width)

    def training_step(self, batch, batch_idx):
        return self.body(batch).square().mean()

    def on_train_batch_start(self, batch, batch_idx, dataloader_idx):
        print("begins", batch_idx, dataloader_idx)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Shows(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx):
        print("ends", batch_idx, dataloader_idx, pl_module.hparams.width)


trainer = pl.Trainer(max_epochs=1, callbacks=[Shows()], logger=False, enable_progress_bar=False)
trainer.fit(Net(argparse.Namespace(width=2)), torch.utils.data.DataLoader(torch.randn(4, 4), batch_size=2))
"""


@pytest.mark.parametrize(
    "methods",
    [
        "def on_train_epoch_end(self, outputs): pass",
        "def optimizer_step(self, e, b, o, closure, on_tpu, using_lbfgs): pass",
        "def configure(self, args):\n    self.hparams = args",
        "def __init__(self, args):\n    self.hparams = {**args}",
    ],
)  # fmt: skip
def test_a_hook_that_cannot_be_moved_is_refused(tmp_path: Path, methods: str) -> None:
    """Lightning 2 would never call it, or call it with something else."""
    assert "LM505" in left_to_a_person(tmp_path, methods)


def test_a_callbacks_hook_is_said_too(tmp_path: Path) -> None:
    """Lightning 2 calls it without the outputs, and nothing said so."""
    method = "def on_train_epoch_end(self, trainer, pl_module, outputs): pass"
    assert left_to_a_person(tmp_path, method, "Callback") == ["LM505"]


def test_what_was_given_to_a_hook_has_a_default(tmp_path: Path) -> None:
    """And hyperparameters that were assigned are saved: the program runs."""
    _, conversion = converted(tmp_path, GIVEN)
    assert [one.code for one in conversion.findings].count("LM505") == 3
    assert not conversion.needs_hand
    ran = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    lines = [line for line in ran.stdout.splitlines() if line.startswith(("begins", "ends"))]
    assert lines == ["begins 0 0", "ends 0 0 2", "begins 1 0", "ends 1 0 2"]
