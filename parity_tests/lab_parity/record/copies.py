"""Copies of a model's parameters that a program keeps in a dict or a list of its own: averages, best weights, anchors.

Found once, among Python's live objects, by their bits. A container is watched and not its tensors, since many programs
put new ones in at each step; it is let go when nobody else holds it.
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, nn

from lab_parity.record.live import Live
from lab_parity.record.naming import Alike, Twin, Whole, are_copies

__all__ = ["Copy", "copies", "distinct", "same_memory"]

_ARRAYS = (Tensor, np.ndarray)
_OURS = 3
"""References to a container that nobody else holds: the copy's own, and those of the count."""


@attrs.frozen(slots=True, eq=False)
class Copy:
    """Where the copies of parameters are, by the parameters' paths: in which container, under what.

    `beside` is what else a dict holds.
    """

    containers: Sequence[Any]
    places: Mapping[str, tuple[int, Any]]
    beside: Mapping[str, tuple[int, Any]] = attrs.field(factory=dict)

    @property
    def container(self) -> Any:
        """The first one, mostly the only one."""
        return self.containers[0]

    @property
    def alive(self) -> bool:
        """Whether anybody else still holds the containers."""
        return all(sys.getrefcount(container) > _OURS for container in self.containers)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """(parameter's path, its copy), as they are now."""
        return self._now(self.places)

    def buffers(self) -> Iterator[tuple[str, Tensor]]:
        """(path, tensor) of what it holds beside parameters, which may be buffers' copies, as a state_dict's are."""
        return self._now(self.beside)

    def _now(self, places: Mapping[str, tuple[int, Any]]) -> Iterator[tuple[str, Tensor]]:
        for path, (which, place) in places.items():
            try:
                found = as_tensor(self.containers[which][place])
            except LookupError:
                continue
            if found is not None:
                yield path, found


def copies(trained: Sequence[Whole], live: Live, alike: Alike | None = None) -> list[Copy]:
    """Dicts with the parameters' paths as keys, and lists in their order, that hold a bitwise copy of each.

    `alike` asks for something else than copies. Of one of `trained` each; all of its parameters, or all that are
    trained.
    """
    found: dict[int, Copy] = {}
    wanted: list[tuple[str, Mapping[str, Tensor], Mapping[str, Tensor]]] = []
    for whole in trained:
        every = whole.parameters
        some: Mapping[str, Tensor] = {path: parameter for path, parameter in every.items() if parameter.requires_grad}
        if some:
            wanted.append((whole.prefix, every, some))
    if not wanted:
        return []
    lists = live.lists_of({len(tensors) for _, every, some in wanted for tensors in (every, some)})
    firsts: dict[str, int] = {}
    for _, _, some in wanted:
        first = next(iter(some))
        firsts[first] = min(firsts.get(first, len(some)), len(some))
    dicts = live.dicts_with(firsts)
    for thing in itertools.chain(lists, dicts):
        for prefix, whole_of_it, some in wanted:
            places = _places(thing, whole_of_it, some, alike or are_copies)
            if places is not None:
                named = {prefix + path: (0, place) for path, place in places.items()}
                beside = {prefix + path: (0, path) for path in _beside(thing, whole_of_it)}
                found.setdefault(id(thing), Copy((thing,), named, beside))
    return list(found.values())


def _places(
    thing: Any, every: Mapping[str, Tensor], trained: Mapping[str, Tensor], alike: Alike
) -> Mapping[str, Any] | None:
    """Where each parameter's copy is; None where it is not a copy of them."""
    if type(thing) is list:
        in_order = every if len(thing) == len(every) else trained if len(thing) == len(trained) else None
        if in_order is not None and _holds(thing, in_order, range(len(thing)), alike):
            return dict(zip(in_order, range(len(thing)), strict=True))
        return None
    path, first = next(iter(trained.items()))
    if len(thing) >= len(trained) and isinstance(thing.get(path), _ARRAYS) and thing[path] is not first:
        wanted: Mapping[str, Tensor] = every if every.keys() <= thing.keys() else trained
        if wanted.keys() <= thing.keys() and _holds(thing, wanted, wanted, alike) and not _of_a_module(thing):
            return {path: path for path in wanted}
    return None


def _beside(thing: Any, every: Mapping[str, Tensor]) -> list[str]:
    """A dict's further keys that are paths with tensors."""
    if type(thing) is list:
        return []
    return [key for key, value in thing.items()
            if isinstance(key, str) and isinstance(value, Tensor) and key not in every]  # fmt: skip


def distinct(found: Sequence[Copy], twins: Sequence[Twin]) -> list[Copy]:
    """Without containers of what a twin, or another container, has already: one average is seen once."""
    known = {_places_in_memory(twin) for twin in twins}
    kept = []
    for copy in found:
        where = _places_in_memory(copy)
        if where is None or where not in known:
            kept.append(copy)
            known.add(where)
    return kept


def _places_in_memory(average: Copy | Twin) -> frozenset[int] | None:
    """Where its tensors lie; None where that cannot be told."""
    try:
        return frozenset(tensor.data_ptr() for _, tensor in average.tensors())
    except RuntimeError:  # a tensor without memory of its own
        return None


def _holds(container: Any, wanted: Mapping[str, Tensor], places: Any, alike: Alike) -> bool:
    held = [tensor for place in places if (tensor := as_tensor(container[place])) is not None]
    return len(held) == len(wanted) and not any(map(same_memory, held, wanted.values())) and alike(held, wanted)


def as_tensor(value: Any) -> Tensor | None:
    """A tensor, or one of the memory of a numpy array; None for all else."""
    if isinstance(value, np.ndarray):
        try:
            # torch warns of memory that must not be written, and knows no backward strides.
            return torch.from_numpy(np.require(value, requirements=["C", "W"]))
        except TypeError:  # of objects
            return None
    return value if isinstance(value, Tensor) else None


def same_memory(a: Tensor, b: Tensor) -> bool:
    """Whether one is the other under another name, as in a state_dict.

    A compiler's stand-in lies nowhere, and a lazy layer's parameter nowhere yet.
    """
    if a.layout != torch.strided or type(b) not in (Tensor, nn.Parameter):
        return False
    try:
        return bool(a.numel()) and a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
    except (RuntimeError, ValueError):
        return True


def _of_a_module(container: Any) -> bool:
    """Whether it is a module's own dict of parameters, whose names have no dots: then the module itself is a copy."""
    if any("." in key for key in container if isinstance(key, str)):
        return False  # asking for referrers takes longest of all
    return any(holder.get("_parameters") is container for holder in gc.get_referrers(container) if type(holder) is dict)
