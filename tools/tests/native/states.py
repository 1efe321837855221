"""What trainings leave behind, for tests to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gin
import torch

import legacy_lab


def trained(root: Path, folder: Path) -> list[Path]:
    """Lab's checkpoints after every step."""
    legacy_lab.load_config(root / "blobs.gin", ["Trainer.checkpoint_every = 1", f"Trainer.run_dir = '{folder}'"])
    torch.manual_seed(0)
    legacy_lab.Trainer().train()
    gin.clear_config()
    return sorted(folder.glob("step_*.lab"))


def state_of(trainer: Any) -> dict[str, Any]:
    """All that a native training changes."""
    module = trainer.lightning_module
    kept = [one for one in trainer.callbacks if type(one).__name__ not in ("Generators", "ModelCheckpoint", "Saving")]
    return {
        "model": module.state_dict(),
        "callbacks": {one.state_key: one.state_dict() for one in kept},
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "plugin": trainer.precision_plugin.state_dict(),
        "rng": torch.get_rng_state(),
    }


def told(trainer: Any) -> dict[str, float]:
    """What the last evaluation found."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("eval/")}
