"""An optimizer's first update where nobody shows its state: does it follow Adam's rule, and by which numbers?

Its moments hold one gradient, so that with bias correction the update is `-lr · g / (|g| + eps)`, whatever the betas,
and without it `-lr · (1 - beta1) / sqrt(1 - beta2) · g / (|g| + eps / sqrt(1 - beta2))`. Both are
`-rate · g / (|g| + floor)`, which `change · |g| = -rate · g - floor · change` tells.

Kingma, Ba, arXiv 1412.6980, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.seen import Seen, both_sides, solve

__all__ = ["FirstUpdate", "Rule", "first_update", "rule_of"]

_USUAL = ((0.9, 0.999), (0.9, 0.95), (0.9, 0.98), (0.9, 0.99), (0.5, 0.999), (0.5, 0.9), (0.8, 0.999), (0.95, 0.999))
_CLOSE = 1e-4


@attrs.frozen(slots=True, eq=False)
class Rule:
    """One side's numbers, each with the error that it may carry."""

    rate: float
    rate_error: float
    floor: float
    floor_error: float


@attrs.frozen(slots=True, eq=False)
class FirstUpdate:
    """Both sides' rules."""

    legacy: Rule
    migrated: Rule
    betas: tuple[tuple[float, float], ...]

    @property
    def ratio(self) -> float:
        """The migrated rate against the legacy one."""
        return self.migrated.rate / self.legacy.rate

    @property
    def floors_differ(self) -> bool:
        """Beyond what both may be off by."""
        apart = abs(self.migrated.floor - self.legacy.floor)
        return apart > 3 * (self.migrated.floor_error + self.legacy.floor_error)

    @property
    def same(self) -> bool:
        """Whether both follow the rule by the same numbers, as far as they can be told."""
        error = 3 * (self.migrated.rate_error + self.legacy.rate_error)
        return not self.floors_differ and abs(self.migrated.rate - self.legacy.rate) <= error

    def uncorrected(self) -> tuple[str, tuple[float, float], bool] | None:
        """(side that leaves out the bias correction, betas, whether the floors say so, too); None where none does."""
        for betas in self.betas:
            scale = math.sqrt(1 - betas[1])
            for side, mine, other in (
                ("migrated", self.migrated, self.legacy), ("legacy", self.legacy, self.migrated),
            ):  # fmt: skip
                if abs(mine.rate / other.rate * scale / (1 - betas[0]) - 1) > _CLOSE or abs(self.ratio - 1) < _CLOSE:
                    continue
                error = 3 * (mine.floor_error * scale + other.floor_error)
                agrees = abs(mine.floor * scale - other.floor) <= error
                if agrees:
                    return side, betas, self.floors_differ
        return None


def first_update(scene: Scene) -> FirstUpdate | None:
    """None unless it is the first update, one side's state is hidden, and both follow the rule to rounding."""
    return scene.once("first update", _find)


def _find(scene: Scene) -> FirstUpdate | None:
    if scene.first.phase != "param" or not scene.captured or scene.settings:
        return None
    legacy, migrated = both_sides(scene)
    hidden = [not (side.new or side.single) for side in (legacy, migrated)]
    if not any(hidden) or legacy.count != 1 or migrated.count != 1 or set(legacy.names) != set(migrated.names):
        return None
    a, b = _rule(legacy), _rule(migrated)
    if a is None or b is None:
        return None
    shown = [betas for run in (scene.legacy, scene.migrated)
             for betas in _shown(run.history.steps[scene.first.step].hyper)]  # fmt: skip
    return FirstUpdate(a, b, tuple(shown) or _USUAL)


def _shown(hyper: Mapping[str, Mapping[str, object]]) -> list[tuple[float, float]]:
    values = next(iter(hyper.values()), {}).get("betas")
    if isinstance(values, (list, tuple)) and len(values) == 2:
        return [(float(values[0]), float(values[1]))]
    return []


def _rule(side: Seen) -> Rule | None:
    return rule_of(side.names, side.change, side.gradient, side.noise)


def rule_of(
    listed: Sequence[str], change: Mapping[str, Tensor], gradient: Mapping[str, Tensor], noise: Mapping[str, Tensor]
) -> Rule | None:
    """The rule that a first update follows to rounding; all by parameter, (n,) float64."""
    names = [n for n in listed if bool((gradient[n] != 0).any())]
    if not names:
        return None
    sizes = {n: gradient[n].abs() for n in names}
    targets: list[Tensor] = [change[n] * sizes[n] for n in names]
    columns = [[-gradient[n] for n in names], [-change[n] for n in names]]
    errors = [sizes[n] * (noise[n] + 2e-7 * change[n].abs()) + 1e-30 for n in names]
    (rate, floor), (rate_error, floor_error), left = solve(targets, columns, errors)
    if left > 3 or rate <= 0 or floor < -floor_error:
        return None
    # A gradient that is much smaller than the floor follows any rule that is linear in it, as SGD's is.
    largest = float(torch.cat(list(sizes.values())).max())
    return Rule(rate, rate_error, floor, floor_error) if floor < 1e-2 * largest else None
