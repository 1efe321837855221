"""The first difference of two runs, as a verdict names it, and what else differs in its step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab_parity.consequence import CALLED
from lab_parity.ledger import Drawn, drawn_differently, drawn_until
from lab_parity.listing import some_of
from lab_parity.pairing import settings_of
from lab_parity.trace import Key, Step
from lab_parity.verdict import Divergence

__all__ = ["divergence_at", "told"]

_LINES = 12

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


def told(a: Step, b: Step, keys: Sequence[Key], differ: Sequence[tuple[int, int]]) -> str:
    """What differs, for a person: a line for all tensors of a phase that differ alike, at most twelve in all."""
    alike: dict[tuple[str, str], list[str]] = {}
    for left, right in differ:
        key = keys[left]
        at = f" of micro-step {key.micro}" if key.micro >= 0 else ""
        if key.field == "hyper":
            mine, other = settings_of(a, left), settings_of(b, right)
            for setting in sorted(mine.keys() & other.keys()):
                if mine[setting] != other[setting]:
                    how = f"{mine[setting]!r} against {other[setting]!r}"
                    alike.setdefault((f"{key.phase} {setting}", how), []).append(key.name)
            continue
        values = float(a.values[left]), float(b.values[right])
        how = (
            "other bits"
            if any(map(np.isnan, values)) or values[0] == values[1]
            else f"{values[0]!r} against {values[1]!r}"
        )
        what = f"{key.phase} {key.field}" if key.field and key.phase == "optimizer" else key.phase
        name = key.name if what.endswith(key.field) and key.field else " ".join(filter(None, (key.name, key.field)))
        alike.setdefault((f"{what}{at}", how), []).append(name)
    lines = [f"{what}: {how}{_of(names)}" for (what, how), names in alike.items()]
    if len(lines) > _LINES:
        lines[_LINES - 1 :] = [f"… and {len(lines) - _LINES + 1} more"]
    return "\n".join(lines)


def _of(names: Sequence[str]) -> str:
    return f" ({some_of(names)})" if any(names) else ""
