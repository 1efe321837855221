"""Small runs of Lab's example projects under the recorder, for the tests that compare legacy with migrated training."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import attrs
import gin
from hypothesis import strategies as st

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


def _one_of(name: str, values: Sequence[object]) -> st.SearchStrategy[str]:
    return st.sampled_from([f"{name} = {value!r}" for value in values])


_OPTIMIZER = {
    "accumulate": (1, 2, 3),
    "clip_norm": (None, 0.5, 100.0),
    "decay": (0.0, 0.05),
    "multipliers": ({}, {"blocks.0.*": 0.3}, {"*.bias": 2.0}),
}
_ADAM = {**_OPTIMIZER, "lr": (1e-3, 2e-2), "betas": ((0.9, 0.99), (0.0, 0.5)), "eps": (1e-8, 1e-3)}
_SGD = {**_OPTIMIZER, "lr": (1e-3, 0.1), "momentum": (0.0, 0.9)}
_MODELS = {
    "digits_vae": {
        "Gaussian.latent": (2, 8),
        "Norm.kind": ("group", "layer", "batch"),
        "Activation.kind": ("relu", "silu"),
        "VAE.beta": (0.0, 0.5),
    },
    "digits_classifier": {
        "SelfAttention.heads": (1, 4),
        "Norm.kind": ("group", "batch"),
        "head/Activation.dropout": (0.0, 0.4),
        "Classifier.smoothing": (0.0, 0.1),
    },
    "char_model": {
        "SelfAttention.causal": (True, False),
        "Activation.dropout": (0.0, 0.2),
        "up/Linear.features": (8, 96),
    },
}
_SCHEDULES = {
    "none": ("{optimizer}.schedule = None",),
    "cosine": ("{optimizer}.schedule = @WarmupCosine()", "WarmupCosine.warmup = 2", "WarmupCosine.total = 9"),
    "decay": (
        "{optimizer}.schedule = @Ramp()",
        "Ramp.of = 'decay'",
        "Ramp.start = 0.0",
        "Ramp.end = 0.2",
        "Ramp.steps = 3",
    ),
}


@st.composite
def lab_runs(draw: st.DrawFn) -> LabRun:
    """Model, objective, loader, optimizer, schedule, accumulation, clipping, EMA and evaluation of a small run.

    Shrinks towards the first value of every setting.
    """
    project = draw(st.sampled_from(PROJECTS))
    bindings = [draw(_one_of(name, values)) for name, values in _MODELS[project].items()]
    optimizer, settings = draw(st.sampled_from([("SGD", _SGD), ("Adam", _ADAM)]))
    bindings.append(f"Trainer.optimizer = @{optimizer}")
    bindings += [draw(_one_of(f"{optimizer}.{name}", values)) for name, values in settings.items()]
    bindings += [line.format(optimizer=optimizer) for line in draw(st.sampled_from(list(_SCHEDULES.values())))]
    bindings += draw(st.sampled_from([("Trainer.ema = None",), ("Trainer.ema = @EMA()", "EMA.decay = 0.9")]))
    bindings.append(draw(_one_of("Trainer.eval_every", (0, 1, 2))))
    bindings.append("Trainer.eval_batches = 1")
    # Where the settings drive the loss to NaN, both sides must get the same NaN; StopOnNaN would end the run.
    bindings.append("Trainer.hooks = []")
    # 1,437 training images: a batch of 720 passes an epoch's end within the run.
    sizes = (4, 5) if project == "char_model" else (4, 5, 720)
    bindings.append(draw(_one_of("train/Loader.batch_size", sizes)))
    bindings.append(draw(_one_of("train/Loader.shuffle", (False, True))))
    bindings.append(f"Trainer.seed = {draw(st.integers(0, 3))}")
    return LabRun(project, tuple(bindings), draw(st.integers(1, 5)))
