"""Settings over several seeds: what every seed of one side has and no seed of the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab_parity.digest import digest_bytes
from lab_parity.pairing import Pairing, same_settings, settings_of
from lab_parity.trace import Step, Trace
from lab_parity.verdict import Divergence

__all__ = ["settings_apart"]


def settings_apart(a: Sequence[Trace], b: Sequence[Trace]) -> Divergence | None:
    """The first setting that differs between the sides, at a step at which each side's seeds agree among themselves.

    A rate that hangs on the loss differs from seed to seed, and says nothing. Runs are of equal length.
    """
    agreed = [_agreed(side) for side in (a, b)]
    pairing = Pairing()
    known: dict[tuple[bytes, bytes], bool] = {}
    for place, (left, right) in enumerate(zip(a[0].steps(), b[0].steps(), strict=False)):
        if not (isinstance(left, Step) and isinstance(right, Step)) or left.optimizer != right.optimizer:
            return None
        pairs = pairing.of(left, right)
        if not all(side[place] for side in agreed):
            continue
        for key, mine, other in zip(pairs.keys, pairs.a, pairs.b, strict=True):
            if key.field != "hyper":
                continue
            both = left.digests[mine].tobytes(), right.digests[other].tobytes()
            if both not in known:
                settings = settings_of(left, int(mine)), settings_of(right, int(other))
                known[both] = both[0] == both[1] or same_settings(*settings) or not all(settings)
            if not known[both]:
                first, second = settings_of(left, int(mine)), settings_of(right, int(other))
                field = next(name for name in sorted(first) if name in second and first[name] != second[name])
                what = f"{field} is {first[field]!r} with all legacy seeds, {second[field]!r} with all migrated ones"
                return Divergence(left.step, None, key.phase, f"{key.name} {field}", what)
    return None


def _agreed(side: Sequence[Trace]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(steps,) whether all runs have the same settings there."""
    digests = [
        [
            digest_bytes(item.digests[[n for n, key in enumerate(item.keys) if key.field == "hyper"]].tobytes())
            for item in trace.steps()
            if isinstance(item, Step)
        ]
        for trace in side
    ]
    return np.array([len(set(step)) == 1 for step in zip(*digests, strict=False)], bool)
