"""One side's captured update, and what an update rule tells of its settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from lab_parity.diagnose.fit import flat, least_squares, rounding
from lab_parity.diagnose.scene import Run, Scene

__all__ = ["Seen", "Told", "both_sides", "solve"]


@attrs.frozen(slots=True, eq=False)
class Told:
    """Settings that explain one side's step, each with the error that it may carry.

    `observed` and `predicted` are (n,) tensors of what the rule explains, `noise` their rounding errors; they are empty
    where a single number told the setting. `of` is what it was seen in. `rests` says which setting rests on which other
    one, without which it tells nothing.
    """

    rule: str
    of: str
    settings: Mapping[str, tuple[float, float]]
    observed: Sequence[Tensor] = ()
    predicted: Sequence[Tensor] = ()
    noise: Sequence[Tensor] = ()
    rests: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(slots=True, eq=False)
class Seen:
    """One side's update; all by parameter, (n,) float64. State is by field, `new` after the update and `old` before.

    `single` are the state's numbers before and after it, where all parameters have the same ones.
    `count` is which step of the optimizer's it is, `rate` the learning rate that it shows, if any.
    """

    names: Sequence[str]
    before: Mapping[str, Tensor]
    change: Mapping[str, Tensor]
    gradient: Mapping[str, Tensor]
    noise: Mapping[str, Tensor]
    old: Mapping[str, Mapping[str, Tensor]]
    new: Mapping[str, Mapping[str, Tensor]]
    single: Mapping[str, tuple[float | None, float]]
    count: int
    rate: float | None

    def shaped(self, *fields: str) -> bool:
        """Whether every parameter has all of these fields, in its own shape."""
        return bool(self.names) and all(
            field in self.new
            and all(n in self.new[field] and self.new[field][n].shape == self.before[n].shape for n in self.names)
            for field in fields
        )

    def was(self, field: str) -> dict[str, Tensor]:
        """What the field was before the update; zeros where it was not there yet."""
        old = self.old.get(field, {})
        return {name: old.get(name, torch.zeros_like(self.before[name])) for name in self.names}


def both_sides(scene: Scene) -> tuple[Seen, Seen]:
    """Both sides' updates of the parameters that both have."""
    sides = [_seen(scene, run) for run in (scene.legacy, scene.migrated)]
    return sides[0], sides[1]


def _seen(scene: Scene, run: Run) -> Seen:
    before, after = run.tensors("param", "before"), run.tensors("param", "after")
    gradient = run.tensors("grad", "before")
    names = [n for n in before if n in after and n in gradient and before[n].is_floating_point()]
    old: dict[str, dict[str, Tensor]] = {}
    new: dict[str, dict[str, Tensor]] = {}
    single: dict[str, tuple[float | None, float]] = {}
    for field in run.state_fields:
        olds, news = (run.tensors("optimizer", moment, field=field) for moment in ("before", "after"))
        if news and all(value.numel() == 1 and value.ndim == 0 for value in news.values()):
            values = {float(value) for value in news.values()}
            was = {float(value) for value in olds.values()}
            if len(values) == 1 and len(was) <= 1:
                single[field] = (was.pop() if was else None, values.pop())
        else:
            old[field] = {n: flat(olds[n]) for n in names if n in olds}
            new[field] = {n: flat(news[n]) for n in names if n in news}
    steps = run.history.steps[: scene.first.step + 1]
    count = sum(past.optimizer == steps[-1].optimizer for past in steps) if steps else 0
    rates = [scene.hyper(name, "lr", "learning_rate") for name in names[:1]]
    start = {n: flat(before[n]) for n in names}
    return Seen(
        names, start, {n: flat(after[n]) - start[n] for n in names}, {n: flat(gradient[n]) for n in names},
        {n: rounding(before[n], after[n]) for n in names}, old, new, single, count,
        float(rates[0]) if rates and isinstance(rates[0], (int, float)) else None,
    )  # fmt: skip


def solve(
    targets: Sequence[Tensor], columns: Sequence[Sequence[Tensor]], noise: Sequence[Tensor]
) -> tuple[list[float], list[float], float]:
    """Coefficients, the errors that they may carry, and what is left in rounding errors an element."""
    fit = least_squares(targets, columns, noise)
    system = torch.stack([torch.cat([c / n for c, n in zip(column, noise, strict=True)]) for column in columns], 1)
    lengths = system.norm(dim=0).clamp_min(1e-300)
    spread = torch.linalg.pinv(system / lengths, rtol=1e-13).norm(dim=1) / lengths
    errors = [4 * max(1.0, fit.after) * float(value) for value in spread]
    errors = [error if math.isfinite(error) else math.inf for error in errors]
    return list(fit.coefficients), errors, fit.after
