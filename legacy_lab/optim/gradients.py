"""How an optimizer treats gradients between backward and update, and how it leaves them."""

from __future__ import annotations

import gin

from legacy_lab.optim.clipping import Clip
from legacy_lab.optim.scaling import Scaler

LEFT_AS = ("zeros", "none")
ZEROES = ("optimizer", "model")
REDUCES = ("update", "loss")


@gin.configurable
class Gradients:
    """Settings of `Optimizer`.

    `clip` bounds gradients, after unscaling unless `clip_scaled`. `scaler` scales losses. After an update gradients
    are `left_as` zeros or none: those of the optimizer's parameters, or of all the model's (`zeroes`).
    `reduce_at` is when ranks average: once an update, or after every loss. With `masters` the optimizer updates
    fp32 copies of the model's parameters.
    """

    def __init__(
        self,
        clip: Clip | None = None,
        clip_scaled: bool = False,
        scaler: Scaler | None = None,
        left_as: str = "zeros",
        zeroes: str = "optimizer",
        reduce_at: str = "update",
        masters: bool = False,
    ) -> None:
        for name, value, known in (
            ("left_as", left_as, LEFT_AS),
            ("zeroes", zeroes, ZEROES),
            ("reduce_at", reduce_at, REDUCES),
        ):
            if value not in known:
                raise ValueError(f"Gradients.{name}: expected one of {', '.join(known)}, found {value!r}")
        self.clip, self.clip_scaled, self.scaler = clip, clip_scaled, scaler
        self.left_as, self.zeroes, self.reduce_at, self.masters = left_as, zeroes, reduce_at, masters
