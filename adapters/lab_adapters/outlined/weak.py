"""Dictionaries that hold their keys or values weakly, and caches of functions: what they remember of a training."""

from __future__ import annotations

import functools
import gc
import weakref
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from lab_adapters.outlined.kinds import leaves_of
from lab_adapters.outlined.own_generators import GENERATORS
from lab_adapters.outlined.parts import is_of_parts

__all__ = ["CACHES", "WEAK", "cached_of", "entries_of_weak", "filled_weak"]

WEAK = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary, WeakIdKeyDictionary)
CACHES = functools._lru_cache_wrapper

#: Of a cache, as many of the objects that it leads to are looked at.
_MOST = 1_000


def entries_of_weak(value: Any) -> list[tuple[Any, Any]]:
    """Pairs of what is still there."""
    return list(value.items())


def filled_weak(target: Any, entries: list[tuple[Any, Any]]) -> Any:
    """The dictionary with these entries, and no others."""
    target.clear()
    for key, value in entries:
        target[key] = value
    return target


def cached_of(value: Any) -> list[str]:
    """Classes of the models, optimizers, parameters and generators that a cache gives again.

    A table or a mask that it has computed, it computes again.
    """
    found = []
    left: list[Any] = [one for one in gc.get_referents(value) if one is not value.__wrapped__]
    seen: set[int] = set()
    while left and len(seen) < _MOST:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        for leaf in leaves_of(one):
            trained = isinstance(leaf, Tensor) and leaf.is_leaf and leaf.requires_grad
            if trained or is_of_parts(leaf) or isinstance(leaf, GENERATORS):
                found.append(type(leaf).__name__)
            elif type(leaf).__name__ == "_lru_list_elem":
                left += gc.get_referents(leaf)
    return sorted(set(found))
