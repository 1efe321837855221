"""Canonical names: what an observation is called, whatever holds the trained module.

A migrated run wraps the model (`inner.model.body.0.weight` for `body.0.weight`), so names are taken relative to the
innermost module that holds all of an optimizer's parameters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from lab_parity.keys import Key

__all__ = ["BY_PARAMETER", "canonical_keys", "prefix_of", "relative"]

BY_PARAMETER = frozenset({"config", "grad", "reduce", "optimizer", "param", "buffer", "ema"})
"""The phases whose observations are named after a parameter or buffer."""


def prefix_of(keys: Iterable[Key]) -> str:
    """The dotted path, with its last dot, that all parameters share; `keys` are those of an optimizer's first step.

    A parameter's own name never belongs to it. Empty where the step holds no initial weights (phase config).
    """
    names = (part for key in keys if key.phase == "config" for part in key.name.split("|"))
    columns = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, columns)
    return "".join(f"{parts[0]}." for parts in shared)


def relative(name: str, prefix: str) -> str:
    """A name without the part of the prefix that it has, too: what lies beside the trained module has its own place."""
    if name.startswith(prefix):
        return name[len(prefix) :]
    parts = zip(name.split(".")[:-1], prefix.split("."), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], parts))
    return ".".join(name.split(".")[shared:])


def canonical_keys(keys: Sequence[Key], prefix: str) -> list[Key]:
    """The keys under canonical names, in the same order; tied weights' names in alphabetical order."""
    return [
        key._replace(name="|".join(sorted(relative(part, prefix) for part in key.name.split("|"))))
        if key.phase in BY_PARAMETER
        else key
        for key in keys
    ]
