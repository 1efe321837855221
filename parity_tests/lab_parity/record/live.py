"""What is alive in the program: its modules, and the dicts and lists that may hold tensors of its own."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import compress, repeat
from operator import is_, itemgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab_parity.record.own import is_own
from lab_parity.record.walk import parameters

__all__ = ["Live"]

_KINDS = (dict, OrderedDict, list)
_TENSORS = (Tensor, nn.Parameter)


class Live:
    """Looked for once, when first asked for. Make one, use it, drop it: it keeps alive what it has found."""

    __slots__ = ("_modules", "_things")  # a dict of its own would be found, too: a cycle that outlives it

    def __init__(self) -> None:
        self._things: list[Any] | None = None
        self._modules: list[nn.Module] | None = None

    def _all(self) -> list[Any]:
        """Modules, dicts, lists and tensors, by their true class, which proxies do not fake.

        Millions of objects: no Python runs for one of them, and they are gone through once.
        """
        if self._things is None:
            wanted = (*_KINDS, *_TENSORS, *_subclasses(nn.Module))
            # One after another: a list that is filled meanwhile would find itself.
            old = _of_types(gc.get_objects(2), wanted)
            young = _of_types(gc.get_objects(1), wanted)
            youngest = _of_types(gc.get_objects(0), wanted)
            self._things = [*old, *young, *youngest]
        return self._things

    @property
    def outermost(self) -> Sequence[nn.Module]:
        """Every module that is no other module's child."""
        if self._modules is None:
            modules = _of_types(self._all(), list(_subclasses(nn.Module)))
            made = [module for module in modules if "_modules" in module.__dict__]
            children = {id(child) for module in made for child in module._modules.values() if child is not None}
            self._modules = [module for module in made if id(module) not in children]
        return self._modules

    def dicts_with(self, keys: Mapping[str, int]) -> Iterator[Any]:
        """Those that have one of the keys, and at least as many in all as it says: most are told by that alone."""
        for kind in (dict, OrderedDict):
            every = self._of(kind)
            for key, least in keys.items():
                large = list(compress(every, map(least.__le__, map(len, every)))) if least > 1 else every
                yield from compress(large, map(dict.__contains__, large, repeat(key)))

    def lists_of(self, lengths: Collection[int]) -> Iterator[Any]:
        """Those of one of the lengths, that begin with a tensor or an array."""
        every = self._of(list)
        wanted = frozenset(lengths) - {0}
        alike = list(compress(every, map(wanted.__contains__, map(len, every))))
        yield from compress(alike, map(isinstance, map(itemgetter(0), alike), repeat((Tensor, np.ndarray))))

    def tensors_of(self, shape: torch.Size) -> list[Tensor]:
        """Those of a shape."""
        return [tensor for tensor in _of_types(self._all(), _TENSORS) if tensor.shape == shape]

    def vectors_of(self, lengths: Collection[int]) -> list[Tensor]:
        """Those of one dimension and one of the lengths, in memory of the usual kind."""
        every = _of_types(self._all(), _TENSORS)
        return [
            tensor
            for tensor in every
            if tensor.layout is torch.strided and tensor.ndim == 1 and len(tensor) in lengths and not is_own(tensor)
        ]

    def _of(self, kind: type) -> list[Any]:
        return list(compress(self._all(), map(is_, map(type, self._all()), repeat(kind))))

    def holding(self, tensors: Iterable[Tensor]) -> list[nn.Module]:
        """The outermost modules that hold any of the tensors, in the tensors' order."""
        places = {id(tensor): place for place, tensor in enumerate(tensors)}
        found = []
        for root in self.outermost:
            inside = [places[id(tensor)] for _, tensor in parameters(root) if id(tensor) in places]
            if inside:
                found.append((min(inside), root))
        return [root for _, root in sorted(found, key=lambda pair: pair[0])]


def _of_types(things: list[Any], types: Sequence[type]) -> list[Any]:
    try:
        wanted = frozenset(types)
        return list(compress(things, map(wanted.__contains__, map(type, things))))
    except Exception:  # the class of a class may forbid that it is asked for a hash
        known = frozenset(map(id, types))
        return list(compress(things, map(known.__contains__, map(id, map(type, things)))))


def _subclasses(cls: type) -> Iterator[type]:
    yield cls
    children: list[type] = type.__subclasses__(cls)
    for child in children:
        yield from _subclasses(child)
