"""What the phases are shown of an optimizer when it steps, whoever wrote it."""

from __future__ import annotations

import gc
import itertools
import operator
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from torch import Tensor, nn
from torch.optim import Optimizer

from lab_parity.errors import SiteError
from lab_parity.record.by_hand import ByHand
from lab_parity.record.copies import Copy, copies, distinct
from lab_parity.record.elsewhere import copies_elsewhere
from lab_parity.record.listed import once, slots_of
from lab_parity.record.live import Live
from lab_parity.record.naming import Alike, Names, Twin, twins, wholes
from lab_parity.record.near import Near, points_its_way
from lab_parity.record.renewed import Renewed, renewed
from lab_parity.record.sites import UpdateSite
from lab_parity.record.walk import buffers, modules, parameters

T = TypeVar("T")
Average = Twin | Copy | Renewed

_RENEWALS = 4
"""How often it is looked for what was made in the place of a copy that is gone: a look at everything each time."""

__all__ = ["Average", "Group", "OptimizerView", "Views"]


@attrs.frozen(slots=True, eq=False)
class Group:
    """Parameters that share hyperparameters; `names` are module paths."""

    names: Sequence[str]
    tensors: Sequence[Tensor]
    hyper: Mapping[str, Any]


@attrs.frozen(slots=True, eq=False)
class OptimizerView:
    """One optimizer at one moment; `state` maps a parameter's name to its state tensors and numbers.

    `averages` are the modules (or dicts and lists) that were copies of a trained one, and trained by nobody, when it
    first stepped, and those modules that said later that they average it.
    `gradients` are those that the program was given beside its parameters, by these' identity.
    `prefixes` stand before the paths in each of `roots`.
    """

    groups: Sequence[Group]
    state: Mapping[str, Mapping[str, Any]]
    roots: Sequence[nn.Module]
    averages: Sequence[Average] = ()
    prefixes: Sequence[str] = ()
    gradients: Mapping[int, Tensor] = attrs.field(factory=dict)

    def gradient(self, parameter: Tensor) -> Tensor | None:
        """What the update moves the parameter by."""
        return parameter.grad if parameter.grad is not None else self.gradients.get(id(parameter))

    def buffers(self) -> list[tuple[str, Tensor]]:
        """(name, buffer) of the modules that hold the parameters, named as these are."""
        pairs = zip(self.prefixes, self.roots, strict=True)
        found = [(prefix + path, buffer) for prefix, root in pairs for path, buffer in buffers(root)]
        # Two holders of one model (that of an earlier training, and this one's) give its buffers one name.
        return list({(name, id(buffer)): (name, buffer) for name, buffer in found}.values())

    @property
    def names(self) -> list[str]:
        """Of all parameters, in the groups' order."""
        return [name for group in self.groups for name in group.names]

    @property
    def tensors(self) -> list[Tensor]:
        """All parameters, in the groups' order."""
        return [tensor for group in self.groups for tensor in group.tensors]

    def parameters(self) -> list[tuple[str, Tensor]]:
        """(name, parameter) in the groups' order."""
        return list(zip(self.names, self.tensors, strict=True))


class Views:
    """Makes views, and labels optimizers opt0, opt1, … in the order of their first steps."""

    def __init__(self) -> None:
        self._names = Names()
        self._known: dict[int, _Known] = {}
        self._copies: dict[int, Copy] = {}
        self._labels = 0

    def of_torch(self, optimizer: Optimizer, seen: OptimizerView | None = None) -> OptimizerView:
        """A torch.optim optimizer as it is now; `seen` is a view of it a moment ago, which saves looking."""
        return self._view(optimizer, optimizer.param_groups, optimizer.state, seen)

    def of_site(self, site: UpdateSite, optimizer: Any, seen: OptimizerView | None = None) -> OptimizerView:
        """A home-grown optimizer as it is now. Raises SiteError when it is not laid out as the site says."""
        groups = getattr(optimizer, site.groups, None)
        if not isinstance(groups, (list, tuple)) or not all(isinstance(g, Mapping) and "params" in g for g in groups):
            raise SiteError(
                f"update site {site.target}: {type(optimizer).__name__}.{site.groups} is a "
                f"{type(groups).__name__}, expected a list of dicts with 'params'"
            )
        slots = getattr(optimizer, site.slots, None) if site.slots else None
        return self._view(optimizer, groups, slots if isinstance(slots, Mapping) else {}, seen)

    def by_hand(self, by_hand: ByHand, seen: OptimizerView | None = None) -> OptimizerView:
        """What is updated without an optimizer, as it is now."""
        return attrs.evolve(self._view(by_hand, by_hand.groups, {}, seen), gradients=by_hand.gradients)

    def has_stepped(self, optimizer: Any) -> bool:
        """Whether a step of the optimizer has been labelled."""
        known = self._known.get(id(optimizer))
        return known is not None and known.of() is optimizer and known.label is not None

    def count(self, optimizer: Any) -> bool:
        """The optimizer has taken a step; False for one that was never seen, which is noted elsewhere."""
        known = self._known.get(id(optimizer))
        if known is not None:
            known.taken += 1
        return known is not None

    def due(self, optimizer: Any, every: int) -> bool:
        """Whether the optimizer's next step is one of every `every`."""
        known = self._known.get(id(optimizer))
        return every == 1 or known is None or known.of() is not optimizer or known.taken % every == 0

    def any_due(self, every: int) -> bool:
        """Whether the next step of any optimizer is due; also before the first one."""
        return (
            every == 1
            or not self._known
            or any(known.taken % every == 0 for known in self._known.values() if known.of() is not None)
        )

    def label(self, optimizer: Any) -> str:
        """The optimizer's label; asking for it the first time is its first step."""
        known = self._known[id(optimizer)]
        if known.label is None:
            known.label = f"opt{self._labels}"
            self._labels += 1
        return known.label

    def averages(self) -> Iterator[tuple[str, Sequence[Average]]]:
        """Labels of optimizers that have stepped, each with the averages of its parameters that are still there."""
        for known in self._known.values():
            there = [twin for twin in known.averages if twin.module is not None]
            own = [copy for copy in alive(known.copies) if copy.alive]
            averages: list[Average] = [*there, *own, *(average for average in known.renewed if average.alive)]
            if known.label is not None and averages:
                yield known.label, averages

    def late_averages(self) -> list[tuple[str, Sequence[Average]]]:
        """Labels of optimizers, each with what lies near its parameters and was not followed, if it ever changed."""
        found: list[tuple[str, Sequence[Average]]] = []
        live = Live()
        for known in self._known.values():
            if known.label is None or not known.roots:
                continue
            tensors = [
                tensor for root in alive(known.roots) for _, tensor in parameters(root) if self._names.of(tensor)
            ]
            moved = known.near.changed()
            made = known.near.unknown(self._looked_for(known, tensors, live, points_its_way)) if tensors else []
            if moved or made:
                found.append((known.label, [*moved, *made]))
        return found

    def parameters(self) -> list[Tensor]:
        """Of all optimizers, those that are still there."""
        return self._names.tensors()

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

    def _view(
        self, optimizer: Any, groups: Sequence[Mapping[str, Any]], state: Mapping[Any, Any], seen: OptimizerView | None
    ) -> OptimizerView:
        listed: list[list[Tensor]] = []
        given: list[str | None] = []
        for group in groups:
            params = group["params"]
            listed.append([params] if isinstance(params, Tensor) else list(params))
            names = list(group.get("names", ()))[: len(listed[-1])]
            given += [*names, *[None] * (len(listed[-1]) - len(names))]
        tensors = [tensor for part in listed for tensor in part]
        if seen is None or not _same(tensors, seen.tensors):
            # Models that share a block, in one optimizer: it holds the block's weights several times.
            listed, given = once(listed, given)
            tensors = [tensor for part in listed for tensor in part]
            if seen is None or not _same(tensors, seen.tensors):
                return self._new_view(optimizer, groups, state, listed, given)
        return attrs.evolve(seen, state=slots_of(state, tensors, seen.names, given))

    def _new_view(
        self,
        optimizer: Any,
        groups: Sequence[Mapping[str, Any]],
        state: Mapping[Any, Any],
        listed: list[list[Tensor]],
        given: list[str | None],
    ) -> OptimizerView:
        """That of an optimizer which is met for the first time, or has other parameters than it had."""
        tensors = [tensor for part in listed for tensor in part]
        known = self._known.get(id(optimizer))
        if known is None or known.of() is not optimizer:
            known = self._known[id(optimizer)] = _Known(_reference(optimizer))
        regrouped = known.parameters != len(tensors)  # at first, and when a group has been added
        if regrouped:
            # Copies that nobody holds any more, say of a training before this one, would count on one side only.
            gc.collect()
        live = Live()
        found = self._names.resolve(tensors, live, given)
        left = iter(found)
        parts = [list(itertools.islice(left, len(part))) for part in listed]
        made = list(map(Group, parts, listed, groups))
        if regrouped:
            roots = live.holding(tensors)
            trained = {id(root) for other in self._known.values() for root in alive(other.roots)}
            known.roots = list(map(weakref.ref, roots))
            models = wholes(roots, tensors, list(map(self._names.prefix, roots)))
            known.averages = [
                twin for twin in twins(models, live) if id(twin.module) not in trained and not self._trained(twin)
            ]
            own = distinct(copies(models, live), known.averages)
            own += self._elsewhere(tensors, found, state, live, [*known.averages, *own])
            known.copies = [weakref.ref(self._copies.setdefault(id(copy.container), copy)) for copy in own]
            known.parameters = len(tensors)
        elif known.taken == 1 and not known.looked_again:
            self._look_again(known, tensors, found, state, live)
        elif known.near.due(known.taken):
            # Averages that were loaded, or are made later, are copies of nothing.
            self._follow(known, known.near.changed())
            known.near.look(known.taken, self._looked_for(known, tensors, live, points_its_way))
        else:
            self._follow(known, known.near.changed(known.taken))
        del live  # it holds all that it has found
        self._renew(known, tensors)
        known.looked_again |= known.taken > 0
        roots = alive(known.roots)
        prefixes = list(map(self._names.prefix, roots))
        # Nobody but this dict holds a copy, and nobody but a copy holds what the program has dropped.
        self._copies = {place: copy for place, copy in self._copies.items() if copy.alive}
        known.averages = [twin for twin in known.averages if twin.module is not None]
        averages: list[Average] = [*known.averages, *alive(known.copies), *known.renewed]
        return OptimizerView(made, slots_of(state, tensors, found, given), roots, averages, prefixes)

    def _look_again(
        self, known: _Known, tensors: Sequence[Tensor], names: Sequence[str], state: Mapping[Any, Any], live: Live
    ) -> None:
        """Before the second step: many averages are made behind the first one, as copies of what it left."""
        gc.collect()
        self._follow(known, self._looked_for(known, tensors, live, None))
        there: list[Twin | Copy] = [*known.averages, *alive(known.copies)]
        self._follow(known, self._elsewhere(tensors, names, state, live, there))
        known.near.look(known.taken, self._looked_for(known, tensors, live, points_its_way))

    def _renew(self, known: _Known, tensors: Sequence[Tensor]) -> None:
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

    def _follow(self, known: _Known, found: Sequence[Twin | Copy]) -> None:
        known.averages += [average for average in found if isinstance(average, Twin)]
        known.copies += [weakref.ref(average) for average in found if isinstance(average, Copy)]

    def _looked_for(
        self, known: _Known, tensors: Sequence[Tensor], live: Live, alike: Alike | None
    ) -> list[Twin | Copy]:
        """Copies of the parameters, or what else is asked for, that are not known yet."""
        roots = alive(known.roots)
        models = wholes(roots, tensors, list(map(self._names.prefix, roots)))
        trained = {id(root) for other in self._known.values() for root in alive(other.roots)}
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
        every = distinct([*there, *copies(models, live, alike)], [*known.averages, *found])
        own = (self._copies.setdefault(id(copy.container), copy) for copy in every)
        return [*found, *(copy for copy in own if id(copy.container) not in held)]

    def _trained(self, twin: Twin) -> bool:
        """Whether an optimizer is known to have any of its parameters."""
        return any(self._names.of(tensor) is not None for _, tensor in twin.tensors())


def _same(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return len(tensors) == len(others) and all(map(operator.is_, tensors, others))


@attrs.define(slots=True, eq=False)
class _Known:
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


def alive(references: Sequence[weakref.ref[T]]) -> list[T]:
    """What they refer to, as far as it is still there."""
    return [thing for thing in (reference() for reference in references) if thing is not None]


def _reference(thing: Any) -> Callable[[], Any]:
    """Something that returns `thing` when called; weak wherever the object allows it."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing
