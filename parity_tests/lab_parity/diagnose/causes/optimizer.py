"""Another optimizer: one of torch's classes on one side, another of them on the other."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Scene

PHASES = ("optimizer", "param")
_ONE_RULE = {"Adam", "AdamW"}
"""They differ by a setting, which `decay` knows."""


_TOLD_BY_STATE = {"grad_avg": "centered", "max_exp_avg_sq": "amsgrad", "momentum_buffer": "momentum"}
"""State that torch's optimizers keep under a setting alone."""


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the captured step; a class of the program's own may be called what it likes."""
    if _of_two(scene):
        return  # another one steps: see `turns`
    if scene.captured and not scene.settings:  # a step that one side does not take has no state
        yield from _by_state(scene)
    a, b = (run.now.kind if run.now is not None else "" for run in (scene.legacy, scene.migrated))
    if a == b or not all(kind.startswith("torch.optim.") for kind in (a, b)):
        return
    names = a.rpartition(".")[2], b.rpartition(".")[2]
    if set(names) != _ONE_RULE:
        yield Cause(
            "optimizer",
            f"The migrated optimizer is {names[1]}, the legacy one {names[0]}.",
            "class of the optimizer",
            freedom=-1,
            read=True,
            evidence=("classes of torch's own, read on both sides",),
        )


def _of_two(scene: Scene) -> bool:
    at, sides = scene.first.step, (scene.legacy.history.steps, scene.migrated.history.steps)
    return len({side[at].optimizer for side in sides if at < len(side)}) > 1


def _by_state(scene: Scene) -> Iterator[Cause]:
    """One side keeps what the other does not, and everything else alike."""
    mine, other = (set(run.state_fields) for run in (scene.legacy, scene.migrated))
    for more, less, side in ((other, mine, "migrated"), (mine, other, "legacy")):
        extra = more - less
        if less < more and len(extra) == 1 and (setting := _TOLD_BY_STATE.get(next(iter(extra)))):
            yield Cause(
                "setting",
                f"The {side} optimizer keeps {next(iter(extra))}, the other one does not: {setting} is set there only.",
                setting,
                freedom=0,
                read=True,
                evidence=("the state after the update, captured on both sides",),
            )
