"""What lies between the last backward pass and the update: nothing, a factor, or one of the forms of clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
from torch import Tensor

from lab_parity.diagnose.gradients import norm
from lab_parity.diagnose.words import fitted

__all__ = ["Clip", "clip_between", "is_round"]

_SAME = 1e-5
_ROUND = 3e-5


@attrs.frozen(slots=True)
class Clip:
    """`kind`: "none", "factor", "norm", "inf norm", "value" or "each"; `at` its threshold (of a factor: the factor).

    `on` are the parameters that it applies to; `sure` is False where a factor would explain it as well.
    """

    kind: str
    at: float
    on: tuple[str, ...]
    sure: bool = True

    def sentence(self, everyone: int) -> str:
        """For a person."""
        some = "" if len(self.on) == everyone else f", of {len(self.on)} of {everyone} parameters"
        at = fitted(self.at)
        return {
            "none": "does not clip",
            "factor": f"multiplies the gradients by {self.at:.6g}{some}",
            "norm": f"clips the global norm at {at}{some}",
            "inf norm": f"clips the largest element by scaling all to {at}{some}",
            "value": f"clips each element at {at}{some}",
            "each": f"clips each parameter's own norm at {at}{some}",
        }[self.kind]


def is_round(value: float, digits: int = 2) -> bool:
    """Whether a person would have written the number: at most so many significant digits, in the bounds of float32."""
    if not math.isfinite(value) or value <= 0:
        return False
    scale = 10.0 ** (digits - 1 - math.floor(math.log10(value)))
    return abs(round(value * scale) / (value * scale) - 1) < _ROUND


def clip_between(raw: Mapping[str, Tensor], used: Mapping[str, Tensor], factor: float = 1.0) -> Clip | None:
    """What turned `raw · factor` into `used`; None where no known form did.

    `factor` is what both sides do anyway (unscaling).
    """
    names = [name for name in used if name in raw]
    before = {name: raw[name].double() * factor for name in names}
    after = {name: used[name].double() for name in names}
    ratios = {name: _ratio(before[name], after[name]) for name in names if bool(before[name].any())}
    if not ratios:
        return None
    known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if len(known) < len(ratios):
        return _by_value(before, after)
    on = tuple(name for name, ratio in known.items() if abs(ratio - 1) > _SAME)
    if not on:
        return Clip("none", 1.0, tuple(known))
    values = [known[name] for name in on]
    if max(values) - min(values) <= 4 * _SAME * max(abs(value) for value in values):
        return _by_norm(after, on, values[0])
    lengths = [norm([after[name]]) for name in on]
    largest = max(lengths)
    if max(lengths) - min(lengths) <= 10 * _SAME * largest:
        return Clip("each", largest, on)
    return None


def _by_norm(after: Mapping[str, Tensor], on: tuple[str, ...], ratio: float) -> Clip:
    length, peak = norm([after[name] for name in on]), norm([after[name] for name in on], math.inf)
    if ratio < 1:
        for kind, size in (("norm", length), ("inf norm", peak)):
            if is_round(size) or (is_round(size, 3) and not is_round(ratio, 3)):
                return Clip(kind, size, on, not is_round(ratio))
    return Clip("factor", ratio, on)


def _by_value(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> Clip | None:
    at = max(float(tensor.abs().max()) for tensor in after.values() if tensor.numel())
    for name, tensor in before.items():
        clipped = tensor.clamp(-at, at)
        if float((clipped - after[name]).abs().max()) > _SAME * at:
            return None
    return Clip("value", at, tuple(before))


def _ratio(before: Tensor, after: Tensor) -> float | None:
    """c for which after = c · before, to the last bits; None where there is none."""
    ratio = float((before * after).sum() / before.square().sum())
    left = float((after - ratio * before).norm())
    return ratio if left <= 2 * _SAME * float(after.norm()) else None
