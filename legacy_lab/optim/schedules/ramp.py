"""Any hyperparameter, moved along a straight line."""

from __future__ import annotations

import gin

NAMES = ("lr", "decay", "momentum", "beta1", "clip", "weight")


@gin.configurable
class Ramp:
    """`of` goes from `start` to `end` in `steps` updates and stays there; `beta1` keeps `beta2` as it is given."""

    def __init__(self, of: str, start: float, end: float, steps: int, beta2: float = 0.99) -> None:
        if of not in NAMES:
            raise ValueError(f"Ramp.of: expected one of {', '.join(NAMES)}, found {of!r}")
        self.of, self.start, self.end, self.steps, self.beta2 = of, start, end, steps, beta2

    def __call__(self, step: int) -> dict[str, object]:
        """`{of: …}` for the update after `step` updates."""
        value = self.start + (self.end - self.start) * min(1.0, step / self.steps)
        return {"betas": (value, self.beta2)} if self.of == "beta1" else {self.of: value}
