"""Averages that one side updates before the optimizer's step, and the other behind it: told by their fingerprints."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.history import History
from lab_parity.diagnose.scene import Scene
from lab_parity.evaluated import AVERAGES
from lab_parity.keys import AT_FORWARD, Key

__all__ = ["lagging"]


def lagging(scene: Scene) -> Iterator[Cause]:
    """Where the sides' averages agree behind the step, and not where it begins, or not where the runs end.

    Behind the step they differ, too, where the first update is another one than those after it, as that of torch's
    AveragedModel, which copies: before the first step it copies the initial parameters.
    """
    sides = scene.legacy.history, scene.migrated.history
    ends = [_behind(side) for side in sides]
    updated = [_updated(side) for side in sides]
    if scene.first.step > 0 and {"before", "behind"} == set(updated):
        yield _said(updated, "")
        return
    names = [name for name, digest in ends[0].items() if ends[1].get(name, digest) != digest]
    if names:
        return  # of another decay, or left out
    left = [_left(side, scene.first.step) for side in sides]
    if scene.first.phase == "ema" and {"before", "behind"} == set(left):
        yield _said(left, f" the last step ({scene.first.step})")


def _said(updated: list[str | None], which: str) -> Cause:
    side, other = ("migrated", "legacy") if updated[1] == "before" else ("legacy", "migrated")
    if which:
        said = f"is not updated behind{which} in the {side} run; in the {other} one it is"
        why = "with updates before the optimizer's step it lags a step behind"
    else:
        said = f"is updated before the optimizer's step in the {side} run, behind it in the {other} one"
        why = "it lags a step behind wherever it is used"
    return Cause(
        "ema",
        f"The average of the parameters {said}: {why}.",
        "where the moving average is updated: before or behind optimizer.step()",
        read=True,
        evidence=("fingerprints of the average, at each step's first forward call and behind its update",),
    )


def _behind(side: History) -> dict[str, bytes]:
    return {key.name: digest for key, (digest, _) in side.keys.items() if key.phase == "ema" and not key.field}


def _updated(side: History) -> str | None:
    """Whether the average has been updated between a step and the next one's first forward call, or behind that."""
    found = set()
    for name, behind in _behind(side).items():
        at_forward = side.keys.get(Key("ema", -1, name, AT_FORWARD))
        past = side.averages.get(name)
        if at_forward is not None and past is not None and past != behind:
            found.add({past: "before", behind: "behind"}.get(at_forward[0], "both"))
    return found.pop() if len(found) == 1 else None


def _left(side: History, step: int) -> str | None:
    """Whether the average that the run leaves is as it was behind the last step, or has been updated since."""
    if side.end is None or step >= len(side.steps):
        return None
    text = side.end.evaluated.get(AVERAGES + side.steps[step].optimizer, "")
    last = {digest.hex() for digest in _behind(side).values()}
    if not text or " " in text or not last:
        return None
    left = set(text.split(","))
    return "before" if left <= last or last <= left else "behind"
