"""A training that a checkpoint interrupts, and that goes on from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs
import lightning.pytorch as pl
import pytest

from lab_adapters import outlined

T = TypeVar("T")


class SaveAt(pl.Callback):
    """Saves when the batch of this number (from 1 on) has ended."""

    def __init__(self, file: Path, at: int) -> None:
        self.file, self.at = file, at

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, out: Any, batch: Any, index: int) -> None:
        """Look whether it is this one."""
        if index + 1 == self.at:
            trainer.save_checkpoint(self.file)


@attrs.frozen
class Checkpoint:
    """A file that one run writes and another goes on from."""

    file: Path

    def written_at(self, at: int, run: Callable[[], T]) -> T:
        """What the whole run gives, which writes the file after this batch."""
        with outlined.trainer_settings(callbacks=[SaveAt(self.file, at)]):
            return run()

    def resumed(self, run: Callable[[], T]) -> T:
        """What the run gives that goes on from there."""
        with outlined.trainer_settings(ckpt_path=str(self.file)):
            return run()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """One that is not written yet."""
    return Checkpoint(tmp_path / "now.ckpt")
