"""What the phases are shown of an optimizer when it steps, whoever wrote it."""

from __future__ import annotations

import gc
import itertools
import operator
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor, nn
from torch.optim import Optimizer

from lab_parity.errors import SiteError
from lab_parity.record.by_hand import ByHand
from lab_parity.record.following import Average, Following, Known, alive
from lab_parity.record.listed import once, slots_of
from lab_parity.record.live import Live
from lab_parity.record.naming import Names
from lab_parity.record.sites import UpdateSite
from lab_parity.record.walk import buffers

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
        self._known: dict[int, Known] = {}
        self._following = Following(self._names, self._known)
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
        live = Live()
        known = [(one.label, one) for one in self._known.values() if one.label is not None and one.roots]
        return [(label, late) for label, one in known if (late := self._following.late(one, live))]

    def parameters(self) -> list[Tensor]:
        """Of all optimizers, those that are still there."""
        return self._names.tensors()

    def averaging(self, average: nn.Module, trained: nn.Module) -> None:
        """`average` says that it averages `trained`."""
        self._following.averaging(average, trained)

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
            known = self._known[id(optimizer)] = Known(_reference(optimizer))
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
            known.roots = list(map(weakref.ref, live.holding(tensors)))
            self._following.begin(known, tensors, found, state, live)
            known.parameters = len(tensors)
        else:
            self._following.look(known, tensors, found, state, live)
        del live  # it holds all that it has found
        self._following.renew(known, tensors)
        known.looked_again |= known.taken > 0
        roots = alive(known.roots)
        prefixes = list(map(self._names.prefix, roots))
        averages = self._following.now(known)
        return OptimizerView(made, slots_of(state, tensors, found, given), roots, averages, prefixes)


def _same(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return len(tensors) == len(others) and all(map(operator.is_, tensors, others))


def _reference(thing: Any) -> Callable[[], Any]:
    """Something that returns `thing` when called; weak wherever the object allows it."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing
