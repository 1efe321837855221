"""Whole Lab projects: blocks × objective × loader × optimizer × schedule × precision × accumulation × hooks × …

A project is the one of `semantics.project.BASE` with bindings of its own. Every choice shrinks to what adds no
binding and needs no further choice, so that the smallest project that differs is a short list of lines.
"""

from __future__ import annotations

import attrs
from hypothesis import strategies as st

from whole_projects import loaders, optimizers
from whole_projects.drawn import Drawn
from whole_projects.models import MODELS, adversarial, vector

__all__ = ["LabProject", "lab_projects"]


@attrs.frozen
class LabProject:
    """What hypothesis prints of a failure; `cut` is after which batch a checkpoint is written and resumed from.

    `ranks` is how many processes train it, over gloo.
    """

    lines: tuple[str, ...] = ()
    steps: int = 1
    cut: int | None = None
    ranks: int = 1

    def bindings(self, rank: int = 0) -> list[str]:
        """All that is bound, as gin reads it; Lab's own loader deals out a rank's share of the examples."""
        own = not any(line.startswith(("Trainer.loader", "train/Loader.world_size")) for line in self.lines)
        shard = [f"train/Loader.world_size = {self.ranks}", f"train/Loader.rank = {rank}"]
        return [*self.lines, *(shard if own and self.ranks > 1 else []), f"Trainer.steps = {self.steps}"]


#: What takes seconds, so that few projects have it.
SLOW = ("workers", "compiled", "ranks")


@st.composite
def lab_projects(draw: st.DrawFn, slow: str | None = None, rarity: int = 0) -> LabProject:
    """Projects that Lab can train; a few it refuses.

    Those that `slow` names have worker processes, compiled blocks or two ranks; else about one in `rarity`, or none.
    """
    d = Drawn(draw)
    if slow is None and rarity and d.one_of(*[False] * (rarity - 1), True):
        slow = d.one_of(*SLOW)
    model = d.one_of(None, *MODELS)
    if model is not None:
        model(d)
    if slow == "workers":
        loaders.in_workers(d)
    else:
        loaders.training(d)
    if slow == "compiled":
        inside = "critic." if model is adversarial else ""
        d.say(f"Trainer.compiled = ({inside + d.first.removesuffix('.*')!r},)")
    (optimizers.pair if model is adversarial else optimizers.single)(d)
    _average(d)
    _evaluation(d)
    _hooks(d, may_spike=model in (None, vector) and not any("Model.blocks" in line for line in d.lines))
    if d.one_of(False, True):
        d.setting("Trainer.log_every", 2, 0)
        d.setting("Trainer.seed", 1, 2, 3)
    cut = d.draw(st.none() | st.integers(1, 14))
    if cut is not None:
        d.hooks.append("CutAt")
        d.say(f"CutAt.batch = {cut}")
    if d.hooks:
        d.say(f"Trainer.hooks = [{', '.join(f'@{name}()' for name in d.hooks)}]")
    return LabProject(tuple(d.lines), d.draw(st.integers(1, 12)), cut, 2 if slow == "ranks" else 1)


def _average(d: Drawn) -> None:
    if d.one_of(False, True):
        d.say("Trainer.ema = @EMA()", "EMA.decay = 0.9")
        d.setting("EMA.warmup", False)
        d.setting("EMA.buffers", True)


def _evaluation(d: Drawn) -> None:
    every = d.setting("Trainer.eval_every", 2, 1, 3)
    if every is None and not d.one_of(False, True):
        return
    # Without a number of steps what is made for the evaluation may draw all the same.
    loaders.evaluation(d)
    d.setting("Trainer.eval_batches", 1, 3)
    if d.one_of(False, True):
        d.say("Trainer.evaluation = @Evaluation()")
        d.setting("Evaluation.at_start", True)
        d.setting("Evaluation.eval_mode", False)
        d.setting("Evaluation.averaged", False)
        d.setting("Evaluation.generators", "kept", "own")


def _hooks(d: Drawn, may_spike: bool) -> None:
    may = ["Jitter"]
    if d.weight is not None:
        may.append("Anneal")
    if may_spike:
        may.append("Spike")
    if d.setting("Trainer.checkpoint_every", 2, 3):
        may.append("Keep")
    chosen = d.draw(st.lists(st.sampled_from(may), max_size=2, unique=True))
    d.hooks += chosen
    if "Anneal" in chosen:
        d.say(f"Anneal.of = {d.weight!r}", "Anneal.schedule = @weight/Ramp()", "weight/Ramp.of = 'weight'")
        d.say("weight/Ramp.start = 0.1", "weight/Ramp.end = 0.5", "weight/Ramp.steps = 5")
    if "Keep" in chosen:
        d.setting("Keep.last", 1, 2)
        if any(line.startswith("Trainer.eval_every") for line in d.lines):
            d.setting("Keep.best", "eval/loss")
