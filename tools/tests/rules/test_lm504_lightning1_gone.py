"""LM504: what Lightning 2 calls differently, or no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_migrate.findings import Status
from tools.tests.rules.lightning1_programs import converted, left_to_a_person


@pytest.mark.parametrize(
    "line",
    [
        "pl.Trainer.from_argparse_args(args)",
        "trainer.fit(model, train_dataloader=loader)",
    ],
)
def test_what_has_no_equal_is_left_to_a_person(tmp_path: Path, line: str) -> None:
    """With what became of it as the next step."""
    _, conversion = converted(tmp_path, f"import pytorch_lightning as pl\n{line}\n")
    assert [one.code for one in conversion.findings if one.status == Status.MANUAL] == ["LM504"]
    assert conversion.needs_hand


@pytest.mark.parametrize(
    "methods",
    [
        "def training_step(self, batch, batch_idx, optimizer_idx): pass",
        "def optimizer_zero_grad(self, epoch, batch_idx, optimizer, optimizer_idx): pass",
        "def backward(self, loss, optimizer, optimizer_idx): loss.backward()",
        "def transfer_batch_to_device(self, batch, device): pass",
        "def training_step_end(self, outputs): pass",
        "def on_epoch_end(self): pass",
    ],
)  # fmt: skip
def test_a_hook_that_cannot_be_moved_is_refused(tmp_path: Path, methods: str) -> None:
    """Lightning 2 would never call it, or call it with something else."""
    assert "LM504" in left_to_a_person(tmp_path, methods)


@pytest.mark.parametrize(
    ("base", "method"),
    [
        ("Callback", "def on_pretrain_routine_start(self, trainer, pl_module): pass"),
        ("callbacks.ModelCheckpoint", "def on_epoch_end(self, trainer, pl_module): pass"),
        ("Callback", "def on_save_checkpoint(self, trainer, pl_module, checkpoint): return {'count': 1}"),
        ("Callback", "def on_load_checkpoint(self, trainer, pl_module, callback_state): pass"),
        ("LightningDataModule", "def on_train_dataloader(self): pass"),
    ],
)
def test_hooks_of_callbacks_and_data_modules_are_said_too(tmp_path: Path, base: str, method: str) -> None:
    """Lightning 2 never called a callback's hook of that name, and nothing said so."""
    assert left_to_a_person(tmp_path, method, base) == ["LM504"]


def test_hooks_that_are_as_they_were_are_left_alone(tmp_path: Path) -> None:
    """Whose parameters Lightning 2 still gives, or that have a default already."""
    text = """
        import pytorch_lightning as pl
        class Mine(pl.Callback):
            def on_save_checkpoint(self, trainer, pl_module, checkpoint):
                checkpoint["mine"] = 1
                return None
            def on_load_checkpoint(self, trainer, pl_module, checkpoint): pass
            def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0): pass
            def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx): pass
        class Net(pl.LightningModule):
            def __init__(self, args):
                args.hparams = args
    """
    _, conversion = converted(tmp_path, text)
    assert {one.code for one in conversion.findings} == {"LM501"}
