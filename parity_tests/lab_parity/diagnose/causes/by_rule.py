"""A setting that nobody tells: both sides' steps follow one update rule (see rules/), by other numbers."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterator

from lab_parity.diagnose import rules
from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import Fit, measure
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.seen import Told, both_sides
from lab_parity.diagnose.words import number

PHASES = ("optimizer", "param")
_CALLED = {"eps": "epsilon", "beta2": "betas", "lr": "lr", "eta, the rate": "lr", "momentum": "momentum"}
"""Settings that have a cause of their own name; any other is a `setting`."""


def find(scene: Scene) -> Iterator[Cause]:
    """Proposed where a rule explains both sides to rounding, and tells other settings of them."""
    if scene.settings or not scene.captured:
        return
    legacy, migrated = both_sides(scene)
    if set(legacy.names) != set(migrated.names):
        return
    for module in sorted(pkgutil.iter_modules(rules.__path__), key=lambda one: one.name):
        rule = importlib.import_module(f"{rules.__name__}.{module.name}")
        a, b = rule.tell(legacy), rule.tell(migrated)
        if a is not None and b is not None:
            yield from _compared(a, b)


def _compared(a: Told, b: Told) -> Iterator[Cause]:
    apart = []
    for setting, (mine, error) in a.settings.items():
        other, error_b = b.settings.get(setting, (math.nan, 0.0))
        doubt, size = error + error_b, max(abs(mine), abs(other))
        # What is hardly larger than its own error is not told.
        if (
            mine != other
            and abs(mine - other) > max(2 * doubt, 1e-6 * min(abs(mine), abs(other)))
            and doubt < 0.05 * size
        ):
            apart.append((setting, (mine, error), (other, error_b)))
    different = {setting for setting, _, _ in apart}
    apart = [one for one in apart if a.rests.get(one[0]) not in different]
    if not apart or ([setting for setting, _, _ in apart] == ["lr"] and a.of == "the update"):
        return  # the latter `lr` knows
    said = "; ".join(f"{setting} is {_short(*other)} instead of {_short(*mine)}" for setting, mine, other in apart)
    first, fit = apart[0], _fit(a, b)
    yield Cause(
        _CALLED.get(first[0], "setting") if len(apart) == 1 else "setting",
        f"By {a.of}, {said}.",
        ", ".join(setting for setting, _, _ in apart),
        fit,
        first[2][0] if math.isfinite(first[2][0]) else None,
        len(apart) - 1,
        read=fit is None,
        evidence=(f"both sides' steps follow {a.rule}'s rule to rounding, by these numbers",),
    )


def _fit(a: Told, b: Told) -> Fit | None:
    """How much of the difference both sides' rules explain; None where a single number told it."""
    sides = (a.observed, b.observed, a.predicted, b.predicted, a.noise, b.noise)
    if not a.observed or any(x.shape != y.shape for x, y in zip(a.observed, b.observed, strict=False)):
        return None
    differences = [y - x for x, y in zip(*sides[:2], strict=True)]
    left = [d - (y - x) for d, x, y in zip(differences, *sides[2:4], strict=True)]
    if not any(bool((d != 0).any()) for d in differences):
        return None
    return measure(differences, left, [x + y for x, y in zip(*sides[4:], strict=True)])


def _short(value: float, error: float) -> str:
    """To the digits that its error leaves, four at most."""
    if math.isinf(value):
        return "more"
    if error >= abs(value) / 2:
        return f"at most {value + error:.1g}"
    digits = min(4, max(1, int(-math.log10(error / abs(value))))) if error else 4
    return number(float(f"{value:.{digits}g}"))
