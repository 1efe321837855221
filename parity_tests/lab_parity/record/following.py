"""The averages of what optimizers train: found when an optimizer begins, looked for later, followed from then on."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from torch import Tensor, nn

from lab_parity.record.copies import Copy, copies, distinct
from lab_parity.record.elsewhere import copies_elsewhere
from lab_parity.record.flat import flats
from lab_parity.record.live import Live
from lab_parity.record.naming import Alike, Names, Twin, Whole, twins, wholes
from lab_parity.record.near import Near, points_its_way
from lab_parity.record.renewed import Renewed, renewed
from lab_parity.record.walk import modules, parameters

T = TypeVar("T")
Average = Twin | Copy | Renewed

_RENEWALS = 4
"""How often it is looked for what was made in the place of a copy that is gone: a look at everything each time."""

__all__ = ["Average", "Following", "Known", "alive"]


@attrs.define(slots=True, eq=False)
class Known:
    """What is remembered of an optimizer, without keeping it alive."""

    of: Callable[[], Any]
    roots: list[weakref.ref[nn.Module]] = attrs.field(factory=list)
    averages: list[Twin] = attrs.field(factory=list)
    copies: list[weakref.ref[Copy]] = attrs.field(factory=list)
    renewed: list[Renewed] = attrs.field(factory=list)
    renewals: int = 0
    parameters: int = -1
    label: str | None = None
    taken: int = 0
    looked_again: bool = False
    near: Near = attrs.field(factory=Near)


class Following:
    """Those of all optimizers in `known`, by identity, which is the views' own and grows."""

    def __init__(self, names: Names, known: Mapping[int, Known]) -> None:
        self._names, self._known = names, known
        self._copies: dict[int, Copy] = {}

    def begin(
        self, known: Known, tensors: Sequence[Tensor], names: Sequence[str], state: Mapping[Any, Any], live: Live
    ) -> None:
        """Follow what is a copy of the parameters now that the optimizer begins, or has been given more of them."""
        models = self._models(known, tensors)
        trained = self._trained_roots()
        known.averages = [
            twin for twin in twins(models, live) if id(twin.module) not in trained and not self._trained(twin)
        ]
        own = distinct([*copies(models, live), *flats(models, live)], known.averages)
        own += self._elsewhere(tensors, names, state, live, [*known.averages, *own])
        known.copies = [weakref.ref(self._copies.setdefault(id(copy.container), copy)) for copy in own]

    def look(
        self, known: Known, tensors: Sequence[Tensor], names: Sequence[str], state: Mapping[Any, Any], live: Live
    ) -> None:
        """Follow what has been made or has changed since, before a later step; mostly no look at everything is due."""
        if known.taken == 1 and not known.looked_again:
            self._look_again(known, tensors, names, state, live)
        elif known.near.due(known.taken):
            # Averages that were loaded, or are made later, are copies of nothing.
            self._follow(known, known.near.changed())
            known.near.look(known.taken, self._looked_for(known, tensors, live, points_its_way))
        else:
            self._follow(known, known.near.changed(known.taken))

    def now(self, known: Known) -> list[Average]:
        """The optimizer's averages; those that nobody holds any more are let go."""
        # Nobody but this dict holds a copy, and nobody but a copy holds what the program has dropped.
        self._copies = {place: copy for place, copy in self._copies.items() if copy.alive}
        known.averages = [twin for twin in known.averages if twin.module is not None]
        return [*known.averages, *alive(known.copies), *known.renewed]

    def late(self, known: Known, live: Live) -> list[Average]:
        """What lies near the optimizer's parameters and was not followed, if it ever changed."""
        tensors = [tensor for root in alive(known.roots) for _, tensor in parameters(root) if self._names.of(tensor)]
        moved = known.near.changed()
        made = known.near.unknown(self._looked_for(known, tensors, live, points_its_way)) if tensors else []
        return [*moved, *made]

    def averaging(self, average: nn.Module, trained: nn.Module) -> None:
        """`average` says that it averages `trained`."""
        inside = {id(module) for _, module in modules(average)}
        for known in self._known.values():
            if any(id(other.module) in inside for other in known.averages):
                continue  # found already, perhaps without the wrapper around it
            paths = [
                f"{self._names.prefix(root)}{path}." if path else self._names.prefix(root)
                for root in alive(known.roots)
                for path, module in modules(root)
                if trained is module
            ]
            if paths:
                known.averages.append(Twin(weakref.ref(average), paths[0]))

    def renew(self, known: Known, tensors: Sequence[Tensor]) -> None:
        """Where a copy is gone that was followed, one may have been made in its place; that is asked a few times."""
        gone = [copy for copy in alive(known.copies) if not copy.alive]
        if not gone or known.renewals >= _RENEWALS:
            return
        known.renewals += 1
        followed = [id(average.container) for average in known.renewed]
        for average in self._looked_for(known, tensors, Live(), points_its_way):
            if not isinstance(average, Copy) or id(average.container) in followed:
                continue
            if any(average.places.keys() == copy.places.keys() for copy in gone):
                kept = renewed(average)
                known.renewed += [] if kept is None else [kept]

    def _look_again(
        self, known: Known, tensors: Sequence[Tensor], names: Sequence[str], state: Mapping[Any, Any], live: Live
    ) -> None:
        """Before the second step: many averages are made behind the first one, as copies of what it left."""
        gc.collect()
        self._follow(known, self._looked_for(known, tensors, live, None))
        there: list[Twin | Copy] = [*known.averages, *alive(known.copies)]
        self._follow(known, self._elsewhere(tensors, names, state, live, there))
        known.near.look(known.taken, self._looked_for(known, tensors, live, points_its_way))

    def _elsewhere(
        self,
        tensors: Sequence[Tensor],
        names: Sequence[str],
        state: Mapping[Any, Any],
        live: Live,
        known: Sequence[Twin | Copy],
    ) -> list[Copy]:
        """Copies of what is trained that lie anywhere else, but in the optimizer's state, which is seen as such."""
        trained = {name: tensor for name, tensor in zip(names, tensors, strict=True) if tensor.requires_grad}
        seen = [tensor for average in known for _, tensor in average.tensors()]
        seen += [value for slots in state.values() if isinstance(slots, Mapping)
                 for value in slots.values() if isinstance(value, Tensor)]  # fmt: skip
        try:
            copied = copies_elsewhere(trained, live, {tensor.data_ptr() for tensor in seen})
        except RuntimeError:  # tensors without memory of their own
            return []
        return [self._copies.setdefault(id(copy.container), copy) for copy in copied]

    def _follow(self, known: Known, found: Sequence[Twin | Copy]) -> None:
        known.averages += [average for average in found if isinstance(average, Twin)]
        known.copies += [weakref.ref(average) for average in found if isinstance(average, Copy)]

    def _looked_for(
        self, known: Known, tensors: Sequence[Tensor], live: Live, alike: Alike | None
    ) -> list[Twin | Copy]:
        """Copies of the parameters, or what else is asked for, that are not known yet."""
        models, trained = self._models(known, tensors), self._trained_roots()
        outer = [twin.module for twin in known.averages if twin.module is not None]
        inside = {id(module) for average in outer for _, module in modules(average)}
        found = [
            twin
            for twin in twins(models, live, alike)
            if twin.module is not None
            and id(twin.module) not in trained
            and not self._trained(twin)
            and not any(id(module) in inside for _, module in modules(twin.module))
        ]
        there = alive(known.copies)
        held = {id(copy.container) for copy in there}
        beside = [*copies(models, live, alike), *flats(models, live, alike)]
        every = distinct([*there, *beside], [*known.averages, *found])
        own = (self._copies.setdefault(id(copy.container), copy) for copy in every)
        return [*found, *(copy for copy in own if id(copy.container) not in held)]

    def _trained(self, twin: Twin) -> bool:
        """Whether an optimizer is known to have any of its parameters."""
        return any(self._names.of(tensor) is not None for _, tensor in twin.tensors())

    def _models(self, known: Known, tensors: Sequence[Tensor]) -> list[Whole]:
        """The trained models, of which an average is a copy."""
        roots = alive(known.roots)
        return wholes(roots, tensors, list(map(self._names.prefix, roots)))

    def _trained_roots(self) -> set[int]:
        """The identities of models that any optimizer trains."""
        return {id(root) for other in self._known.values() for root in alive(other.roots)}


def alive(references: Sequence[weakref.ref[T]]) -> list[T]:
    """What they refer to, as far as it is still there."""
    return [thing for thing in (reference() for reference in references) if thing is not None]
