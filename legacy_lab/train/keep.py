"""Which checkpoints stay on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gin

from legacy_lab.train.hooks import Hook

if TYPE_CHECKING:
    from legacy_lab.train.trainer import Trainer

MODES = ("min", "max")


@gin.configurable
class Keep(Hook):
    """The newest `last` regular checkpoints, a copy of the newest as `last.lab`, and `best.lab`.

    The best is that of the evaluation whose metric `best` is least (`min`) or greatest (`max`); an equal one does not
    replace it.
    """

    def __init__(self, last: int = 0, best: str | None = None, mode: str = "min") -> None:
        if mode not in MODES:
            raise ValueError(f"Keep.mode: expected one of {', '.join(MODES)}, found {mode!r}")
        self.last, self.best, self.mode = last, best, mode
        self.found: float | None = None

    def after_save(self, trainer: Trainer, path: Path) -> None:
        """Copy the newest, drop what is too many."""
        partial = path.with_name(".last.partial")
        shutil.copyfile(path, partial)
        partial.replace(path.with_name("last.lab"))
        if self.last:
            for old in sorted(path.parent.glob("step_*.lab"))[: -self.last]:
                old.unlink()

    def after_eval(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Save where this one is the best so far. Raises `KeyError` for a metric that is not there."""
        if self.best is None:
            return
        if self.best not in metrics:
            raise KeyError(f"Keep.best: expected one of {', '.join(sorted(metrics))}, found {self.best!r}")
        value = metrics[self.best]
        if self.found is None or (value < self.found if self.mode == "min" else value > self.found):
            self.found = value
            trainer.save(trainer.run_dir / "best.lab")

    def state(self) -> dict[str, Any]:
        """The best metric so far."""
        return {"found": self.found}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.found = state["found"]
