"""What both sides' optimizers hold, as the traces tell."""

from __future__ import annotations

from lab_parity.diagnose.history import History
from lab_parity.diagnose.scene import Scene

__all__ = ["idle_of", "parameters_of"]


def parameters_of(scene: Scene) -> dict[str, tuple[list[str], list[str]]]:
    """Optimizer -> names of its parameters on both sides, of the last step that each took by the divergence."""
    sides = [_last(run.history, scene.first.step) for run in (scene.legacy, scene.migrated)]
    return {label: (sides[0][label], sides[1][label]) for label in sides[0] if label in sides[1]}


def idle_of(history: History, step: int) -> set[str]:
    """The parameters that have no gradient in the last step that their optimizer took."""
    last = {past.optimizer: past for past in history.steps[: step + 1]}
    return {name for past in last.values() for name in past.idle}


def _last(history: History, step: int) -> dict[str, list[str]]:
    return {past.optimizer: list(past.parameters) for past in history.steps[: step + 1]}
