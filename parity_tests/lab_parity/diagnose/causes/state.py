"""The optimizer's state: one side begins the step without what the other one has."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Run, Scene

PHASES = ("optimizer",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the captured state before the update: an optimizer that was made anew has none."""
    if not scene.captured or scene.settings or _is_anothers(scene):
        return
    for mine, other, said in (
        (scene.legacy, scene.migrated, "The migrated optimizer begins this step without the state that the legacy one"),
        (scene.migrated, scene.legacy, "The legacy optimizer begins this step without the state that the migrated one"),
    ):
        had, has, gets = _state(mine, "before"), _state(other, "before"), _state(other, "after")
        lost = [name for name in had if name in gets and name not in has]
        if lost:
            fields = ", ".join(dict.fromkeys(field for name in lost for field in had[name]))
            yield Cause(
                "state",
                f"{said} has ({fields}), on {which(lost, list(gets))}: it was not restored.",
                "the optimizer's state, where a training is resumed or its optimizer made anew",
                freedom=-1,
                read=True,
                affected=tuple(lost),
                evidence=("the state before the update, captured on both sides",),
            )


def _is_anothers(scene: Scene) -> bool:
    """Whether another optimizer steps than on the other side, which has a state of its own."""
    labels = {
        past.optimizer for run in (scene.legacy, scene.migrated) for past in run.history.steps[scene.first.step :][:1]
    }
    return len(labels) > 1


def _state(run: Run, moment: str) -> dict[str, list[str]]:
    """Parameter -> its state fields, before or after the update."""
    found: dict[str, list[str]] = {}
    for key in run.now.tensors if run.now is not None else ():
        if (key.phase, key.moment) == ("optimizer", moment):
            found.setdefault(key.name, []).append(key.field)
    return found
