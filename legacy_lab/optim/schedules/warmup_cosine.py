"""Learning rate: a linear warm-up, then half a cosine down to a floor."""

from __future__ import annotations

import math

import gin


@gin.configurable
class WarmupCosine:
    """From `lr / warmup` up to `lr` in `warmup` updates, then down to `floor` at update `total`."""

    def __init__(self, lr: float, total: int, warmup: int = 0, floor: float = 0.0) -> None:
        if not 0 <= warmup < total:
            raise ValueError(f"WarmupCosine.warmup: expected 0 <= warmup < total={total}, found {warmup}")
        self.lr, self.total, self.warmup, self.floor = lr, total, warmup, floor

    def __call__(self, step: int) -> dict[str, float]:
        """`{"lr": …}` for the update after `step` updates."""
        if step < self.warmup:
            return {"lr": self.lr * (step + 1) / self.warmup}
        progress = min(1.0, (step - self.warmup) / (self.total - self.warmup))
        return {"lr": self.floor + (self.lr - self.floor) * 0.5 * (1 + math.cos(math.pi * progress))}
