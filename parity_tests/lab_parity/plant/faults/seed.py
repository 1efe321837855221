"""Somebody seeds torch's global generator again.

The variants `seed:1`, `seed:2`, … shift every seed that the program gives to a global generator (torch's, numpy's,
Python's) instead, from its start on: the same program as another seed of it (see lab_parity.equivalence). Generators of
the program's own, which as a rule make its data, keep their seeds.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

ONCE = True
CAUSES = ("rng",)
_APART = 1_000_003
"""Between two variants' seeds: programs add ranks and epochs to theirs."""


def before_update(groups: list[dict[str, Any]]) -> None:
    """Seed it."""
    torch.manual_seed(4711)


class Variant:
    """The program with its seeds shifted; variant 0 is the program itself."""

    ONCE = True

    def __init__(self, number: int) -> None:
        self._shift = number * _APART

    def start(self) -> Callable[[], None]:
        """Shift seeds from now on, and where torch's generator stands; returns what ends it."""
        if not self._shift:
            return lambda: None
        torch.manual_seed(torch.initial_seed() + self._shift)
        owners = [(torch, "manual_seed"), (torch.random, "manual_seed"), (random, "seed"), (np.random, "seed")]
        undo = [self._patch(owner, name) for owner, name in owners]

        def stop() -> None:
            for action in undo:
                action()

        return stop

    def _patch(self, owner: Any, name: str) -> Callable[[], None]:
        original = getattr(owner, name)
        # numpy takes 32 bits.
        limit = 2**32 if owner is np.random else 2**63

        def shifted(value: Any) -> Any:
            return (int(value) + self._shift) % limit if _is_number(value) else value

        @functools.wraps(original)
        def seed(*args: Any, **kwargs: Any) -> Any:
            given = [shifted(value) if place == 0 else value for place, value in enumerate(args)]
            named = {name: shifted(value) if name in ("seed", "a") else value for name, value in kwargs.items()}
            return original(*given, **named)

        setattr(owner, name, seed)
        return lambda: setattr(owner, name, original)


def _is_number(seed: object) -> bool:
    return isinstance(seed, (int, np.integer)) or (isinstance(seed, torch.Tensor) and seed.numel() == 1)
