"""Equal pairs: the same training twice, the second time in another shape; none may part.

Another module holds the model, the update is made by closure, in the step of a wrapper, or several of these.
"""

from __future__ import annotations

import random
from pathlib import Path

import attrs
from planted.settings import Settings
from planted.stepping import STEPPING
from planted.training import HEALTHY, train

import lab_parity

__all__ = ["equal_pairs"]


def equal_pairs(numbers: range, folder: Path, seed: int = 0) -> list[str]:
    """Train those pairs of an endless row with random settings; what parted, or was no pass, in words."""
    choose = random.Random(seed)
    alarms = []
    for number in range(numbers.stop):
        kind = choose.choice(sorted(HEALTHY))
        settings = _random(choose, HEALTHY[kind])
        wrapped = choose.random() < 0.5
        stepping = random.Random(f"{seed} {number}").choice(STEPPING)
        if number not in numbers:
            continue
        traces = [folder / f"equal{number}{side}.trace" for side in "ab"]
        for trace, shape in zip(traces, ({}, {"wrapped": wrapped, "stepping": stepping}), strict=True):
            with lab_parity.record(trace):
                train(kind, settings, **shape)
        verdict = lab_parity.compare(*traces)
        if verdict.rung != "identical":
            first = verdict.first.sentence() if verdict.first is not None else "; ".join(verdict.reasons)
            alarms.append(f"{kind}, {stepping}, {settings}: {verdict.rung}: {first}")
        for trace in traces:
            trace.unlink()
    return alarms


def _random(choose: random.Random, healthy: Settings) -> Settings:
    own = healthy.optimizer.startswith("own")
    return attrs.evolve(
        healthy,
        steps=choose.randint(1, 4),
        seed=choose.randrange(1000),
        batch=choose.choice([3, 8, 16]),
        micro=choose.choice([1, 2]),
        lr=healthy.lr * choose.choice([0.1, 1, 3]),
        decay=choose.choice([0.0, 0.1]),
        clip=choose.choice(["", "norm", "value"]),
        dropout=choose.choice([0.0, 0.3]),
        shuffle=choose.random() < 0.5,
        zero=choose.choice(["none", "zeros"]),
        schedule=choose.choice(["", "warmup", "cosine"]),
        optimizer=choose.choice(["own_adam", "own_sgd"] if own else ["sgd", "adam", "adamw", "rmsprop"]),
    )
