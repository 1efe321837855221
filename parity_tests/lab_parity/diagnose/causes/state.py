"""The optimizer's state: one side begins the step without what the other one has."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Run, Scene, same_bits
from lab_parity.diagnose.words import number

PHASES = ("optimizer",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the captured state before the update: an optimizer that was made anew has none."""
    if not scene.captured or scene.settings or _is_anothers(scene):
        return
    yield from _begins_elsewhere(scene)
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


def _begins_elsewhere(scene: Scene) -> Iterator[Cause]:
    """Both have it, and it is not the same: it was given another value, or changed since its last update."""
    everyone = list(scene.legacy.tensors("param", "before"))
    for field in scene.legacy.state_fields:
        apart = [p for p in scene.pairs("optimizer", "before", field=field) if not same_bits(p.a, p.b)]
        if not apart:
            continue
        sides = [pair.a for pair in apart], [pair.b for pair in apart]
        levels = [{float(value) for tensor in side for value in torch.unique(tensor)[:2]} for side in sides]
        said, size = "", None
        if all(len(level) == 1 for level in levels):
            mine, size = (level.pop() for level in levels)
            said = f" ({number(size)} instead of {number(mine)} in every element)"
        first = scene.first.step == _first_step(scene)
        where = which([pair.name for pair in apart], everyone)
        yield Cause(
            "state",
            f"The optimizer begins this step with another {field}{said}, on {where}: "
            + ("its initial value." if first else "it was set, or restored otherwise, since the step before."),
            f"{field}: the value that it is given at first"
            if first
            else f"{field}, where the optimizer's state is set",
            size=size,
            freedom=-1,
            read=True,
            affected=tuple(pair.name for pair in apart),
            evidence=("the state before the update, captured on both sides",),
        )
        return


def _first_step(scene: Scene) -> int:
    """The first step that the divergent one's optimizer takes."""
    steps = scene.legacy.history.steps[: scene.first.step + 1]
    return next(past.step for past in steps if past.optimizer == steps[-1].optimizer)


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
