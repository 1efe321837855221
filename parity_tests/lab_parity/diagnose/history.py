"""What a trace tells of the steps around the first difference: batches, settings, micro-steps."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs

from lab_parity.continued import goes_on_as
from lab_parity.ledger import Drawn
from lab_parity.side import Side, idle_parameters
from lab_parity.trace import End, Key, Step, Trace

__all__ = ["History", "PastStep", "read_history"]

_MOST = 100_000


@attrs.frozen(slots=True, eq=False)
class PastStep:
    """One step: its batches' digests, by micro-step; hyperparameters by parameter; all parameters, the idle ones.

    An update by hand has no hyperparameters; `idle` are those without a gradient.
    """

    step: int
    optimizer: str
    micro_steps: int
    batches: Sequence[tuple[bytes, ...]]
    hyper: Mapping[str, Mapping[str, Any]]
    idle: Collection[str] = ()
    parameters: Sequence[str] = ()


@attrs.frozen(slots=True, eq=False)
class History:
    """A run's steps (at most 100,000), the canonical keys of one of them with digests and values, and its end.

    `averages` are the digests of averages behind the same optimizer's step before that of `keys`, by name.
    `initial` maps (optimizer, parameter) to the fingerprint before that optimizer's first update. `ledger` are the
    draws that the step before and that of `keys` booked, None where no ledger was kept.
    """

    steps: Sequence[PastStep]
    keys: Mapping[Key, tuple[bytes, float]]
    side: Side
    end: End | None
    initial: Mapping[tuple[str, str], bytes]
    averages: Mapping[str, bytes] = attrs.field(factory=dict)
    ledger: tuple[Sequence[Drawn], Sequence[Drawn]] | None = None


def read_history(trace: Trace, at: int, side: Side, labels: Mapping[str, str]) -> History:
    """Read a trace; `keys` are those of step `at`.

    `side` knows what parameters are called, `labels` which optimizers go on as which.
    """
    steps: list[PastStep] = []
    at_step: dict[Key, tuple[bytes, float]] = {}
    ledger: tuple[Sequence[Drawn], Sequence[Drawn]] | None = None
    before: Sequence[Drawn] = ()
    end: End | None = None
    known: dict[str, Mapping[str, Any]] = {}
    names: dict[tuple[str, ...], tuple[str, ...]] = {}
    initial: dict[tuple[str, str], bytes] = {}
    averages: dict[str, dict[str, bytes]] = {}
    at_optimizer = ""
    for item in trace.steps():
        if isinstance(item, End):
            end = item
            break
        if item.step >= _MOST:
            break
        item = goes_on_as(item, labels)
        keys = side.keys(item)
        if item.step == at:
            ledger = (before, item.ledger) if trace.scope.ledger else None
            at_step = {
                key: (digest.tobytes(), float(value))
                for key, digest, value in zip(keys, item.digests, item.values, strict=True)
            }
            at_optimizer = item.optimizer
        elif item.step < at:
            averages[item.optimizer] = {
                key.name: digest.tobytes()
                for key, digest in zip(keys, item.digests, strict=True)
                if key.phase == "ema" and not key.field
            }
        before = item.ledger
        initial |= {
            (item.optimizer, key.name): digest.tobytes()
            for key, digest in zip(keys, item.digests, strict=True)
            if key.phase == "config"
        }
        steps.append(_past(item, keys, side, known, names))
    return History(steps, at_step, side, end, initial, averages.get(at_optimizer, {}), ledger)


def _past(
    item: Step,
    keys: Sequence[Key],
    side: Side,
    known: dict[str, Mapping[str, Any]],
    names: dict[tuple[str, ...], tuple[str, ...]],
) -> PastStep:
    batches: list[list[bytes]] = [[] for _ in range(item.micro_steps)]
    hyper: dict[str, Mapping[str, Any]] = {}
    for key, digest in zip(keys, item.digests, strict=True):
        if key.phase == "batch" and key.micro < item.micro_steps:
            batches[key.micro].append(digest.tobytes())
        elif key.field == "hyper":
            name = digest.tobytes().hex()
            if name not in known:
                known[name] = json.loads(side.texts.get(name, "{}"))
            hyper[key.name] = known[name]
    idle = frozenset(name for name, _ in idle_parameters(item, keys))
    listed = tuple(key.name for key in keys if key.phase == "param")
    if listed not in names:
        names[listed] = listed  # one for all steps
    made = [tuple(batch) for batch in batches]
    return PastStep(item.step, item.optimizer, item.micro_steps, made, hyper, idle, names[listed])
