"""Small runs of Lab's example projects under the recorder, for the tests that compare legacy with migrated training."""

from __future__ import annotations

import importlib
import sys
from contextlib import nullcontext
from pathlib import Path

import attrs
import gin

import legacy_lab
from lab_bridge import Trainer
from lab_parity import UpdateSite, Verdict, compare, record
from lab_parity.plant import plant

EXAMPLES = Path(__file__).parents[1] / "examples"
PROJECTS = ("digits_vae", "digits_classifier", "char_model")
SITES = [UpdateSite("legacy_lab.optim.optimizer:Optimizer.update")]


@attrs.frozen
class LabRun:
    """One of the example projects with bindings of its own: what a hypothesis failure prints."""

    project: str
    bindings: tuple[str, ...] = ()
    steps: int = 4

    def train(self, cls: type[legacy_lab.Trainer], folder: Path, fault: str | None = None, at: int = 0) -> Path:
        """Train it with a Trainer class, recorded to `folder`/<module>.trace; plant a fault where one is named."""
        name = cls.__module__.split(".")[0] + (f"-{fault}" if fault else "")
        own = [f"Trainer.steps = {self.steps}", f"Trainer.run_dir = '{folder / name}'", "Trainer.log_every = 1"]
        register_project_blocks()
        legacy_lab.load_config(EXAMPLES / self.project / f"{self.project}.gin", [*self.bindings, *own])
        trace = folder / f"{name}.trace"
        with plant(fault, at, SITES) if fault else nullcontext(), record(trace, SITES):
            cls().train()
        return trace

    def verdict(self, folder: Path, fault: str | None = None, at: int = 0) -> Verdict:
        """Legacy against drop-in, the fault planted in the latter."""
        return compare(self.train(legacy_lab.Trainer, folder), self.train(Trainer, folder, fault, at))


def register_project_blocks() -> None:
    """The VAE project's own block; once a process, since gin refuses a second registration."""
    if "blocks" not in sys.modules:
        sys.path.insert(0, str(EXAMPLES / "digits_vae"))
        with gin.unlock_config():
            importlib.import_module("blocks")
        sys.path.pop(0)
