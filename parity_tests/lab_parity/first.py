"""The first difference of two runs, as a verdict names it, and what else differs in its step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lab_parity.consequence import CALLED
from lab_parity.ledger import Drawn, drawn_differently, drawn_until
from lab_parity.pairing import settings_of
from lab_parity.trace import Key, Step
from lab_parity.verdict import Divergence

__all__ = ["divergence_at", "shown"]

Ledgers = tuple[Sequence[Drawn], Sequence[Drawn]]


def divergence_at(
    a: Step, b: Step, keys: Sequence[Key], rows: tuple[int, int], ledgers: Ledgers | None = None
) -> Divergence:
    """At a pair of rows, of which `keys` names the first. `ledgers` are those before the step, where both have one."""
    left, right = rows
    key = keys[left]
    what = "the numbers differ" if key.phase in CALLED else "the bits differ"
    values = tuple(None if np.isnan(v) else float(v) for v in (a.values[left], b.values[right]))
    tensor = " ".join(part for part in (key.name, key.field) if part)
    if key.field == "hyper":
        mine, other = settings_of(a, left), settings_of(b, right)
        field = next((n for n in sorted(mine) if n in other and mine[n] != other[n]), "")
        tensor = f"{key.name} {field}"
        what, values = f"{field} is {mine.get(field)!r} against {other.get(field)!r}", (None, None)
    micro = key.micro if key.micro >= 0 else None
    if key.phase == "rng" and ledgers is not None:
        drawn_a, drawn_b = (
            drawn_until(earlier, step.ledger, micro) for earlier, step in zip(ledgers, (a, b), strict=True)
        )
        what = " ".join([f"{what}.", *drawn_differently(drawn_a, drawn_b, key.name)]).removesuffix(".")
    return Divergence(a.step, micro, key.phase, tensor, what, values[0], values[1])


def shown(
    a: Step, b: Step, keys: Sequence[Key], differ: Sequence[tuple[int, int]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs on both sides, as {phase: {tensor: number, hyperparameters or digest}}."""
    found: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for places in differ:
        key = keys[places[0]]
        for mine, step, place in zip(found, (a, b), places, strict=True):
            value = float(step.values[place])
            plain: Any = step.digests[place].tobytes().hex()[:8] if np.isnan(value) else value
            if key.field == "hyper":
                plain = settings_of(step, place)
            name = " ".join(part for part in (key.name, key.field) if part)
            mine.setdefault(key.phase, {})[name if key.micro < 0 else f"{name} @{key.micro}"] = plain
    return found
