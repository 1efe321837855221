"""Training and evaluation mode: a module that trains on one side and evaluates on the other."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.beside import called_otherwise
from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Scene

PHASES = ("rng", "batch", "loss", "forward", "grad", "buffer")
_MATTERS = (
    "AlphaDropout", "BatchNorm", "Dropout", "FeatureAlphaDropout", "GRU", "InstanceNorm", "LSTM", "MultiheadAttention",
    "ParametrizedLinear", "RNN", "RReLU", "SyncBatchNorm", "_SpectralNorm",
)  # fmt: skip


def find(scene: Scene) -> Iterator[Cause]:
    """Read from each called module's `training`."""
    differ = [(a, b) for a, b in scene.modules if b is not None and a.training != b.training]
    if differ and scene.first.phase != "batch":
        matter = [a for a, _ in differ if a.kind.startswith(_MATTERS)] or [a for a, _ in differ]
        mode = "evaluation" if differ[0][0].training else "training"
        named = ", ".join(dict.fromkeys(f"{a.name or 'the model'} ({a.kind})" for a in matter[:3]))
        yield Cause(
            "mode",
            f"{len(differ)} modules are in {mode} mode in the migrated run, not so in the legacy one: {named}.",
            "model.train() and model.eval(): who calls them, and when",
            affected=tuple(a.name for a, _ in differ),
            evidence=("`training` of the called modules, read on both sides",),
        )
        return
    beside = [(a, mode) for a, mode in called_otherwise(scene) if a.kind.startswith(_MATTERS)]
    if beside:
        mode = "training" if beside[0][1] else "evaluation"
        named = ", ".join(dict.fromkeys(f"{a.name or 'the model'} ({a.kind})" for a, _ in beside[:3]))
        yield Cause(
            "mode",
            f"Beside what is trained in step {scene.first.step}, modules are called in {mode} mode in the migrated "
            f"run, not so in the legacy one: {named}.",
            "model.train() and model.eval(): who calls them, and when; for evaluations, a teacher, a generator, too",
            affected=tuple(a.name for a, _ in beside),
            evidence=("`training` of modules in calls that no backward pass of the step came through",),
        )
