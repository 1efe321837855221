"""What to try next.

In a file of its own: the recorder reads it in the recorded process, where importing rich draws from Python's generator.
"""

from __future__ import annotations

from lab_parity.verdict import Verdict

__all__ = ["next_step"]

_NEXT = {
    "rng": "Something drew from a generator in one run only: look for an extra loader, a seed call or an evaluation.",
    "batch": "The runs saw different data: check shuffling, the sampler, drop_last and prefetching.",
    "forward": "The model's inputs agree and its activations do not: check train/eval mode and precision.",
    "loss": "Same batch, other loss: check train/eval mode, precision, and how the loss is scaled.",
    "reduce": "The ranks' gradients or their reduction differ: check sharding, no_sync, and sum against mean.",
    "clip": "Compare the arguments of clipping: threshold, order of the norm, and the parameters it is taken over.",
    "schedule": "Compare where the schedule is stepped (step or epoch, before or after the update) and its settings.",
    "metric": "The schedule heeds another number: compare the evaluations.",
    "grad": "Same loss, other gradients: check accumulation, clipping, loss scaling and zeroing.",
    "optimizer": "Compare the optimizer's settings and schedule at this step.",
    "param": "Same gradients and settings, other update: check decay, the parameter groups and EMA.",
    "buffer": "Check BatchNorm momentum and evaluations that ran in train mode.",
    "config": "The runs start from different weights: check the seed and the order of construction.",
}


def next_step(verdict: Verdict) -> str:
    """What to try next, or an empty string."""
    if verdict.first is not None and verdict.exit_code:
        return _NEXT.get(verdict.first.phase, "")
    if verdict.rung == "inconclusive":
        return "Mend the reasons above and record again; an inconclusive comparison is no pass."
    return ""
