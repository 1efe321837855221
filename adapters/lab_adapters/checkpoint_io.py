"""Legacy checkpoints as `ckpt_path=`: read, and dressed as the Lightning checkpoint that would have been written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from lab_adapters.protocols import LegacyCheckpoint
from lab_adapters.step_module import LEGACY_KEY


class LegacyCheckpointIO(TorchCheckpointIO):
    """Loads Lightning checkpoints as always, and those of a legacy format as if Lightning had written them.

    Always with `weights_only=True`: no checkpoint runs code. Local files are written beside their target and renamed,
    tensor by tensor: Lightning's own way builds the whole file in memory first, twice.
    """

    def __init__(self, legacy: LegacyCheckpoint) -> None:
        super().__init__()
        self.legacy = legacy

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write the file whole or not at all."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """A Lightning checkpoint, translated where the file is a legacy one; on the CPU, as both sides read theirs."""
        if self.legacy.recognises(str(path)):
            return as_lightning(self.legacy.read(str(path)))
        return super().load_checkpoint(path, map_location=map_location, weights_only=True)


def as_lightning(state: dict[str, Any]) -> dict[str, Any]:
    """The Lightning checkpoint of a `LegacyTraining` state; the module that loads it sets the progress counters."""
    return {
        "epoch": 0,
        "global_step": state["step"],
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": {f"model.{key}": value for key, value in state["model"].items()},
        "optimizer_states": [{"legacy": state["optimizer"]}],
        "lr_schedulers": [],
        LEGACY_KEY: {key: value for key, value in state.items() if key not in ("model", "optimizer")},
    }
