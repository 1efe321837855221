"""What the phases are shown of an optimizer when it steps, whoever wrote it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor, nn
from torch.optim import Optimizer

from lab_parity.errors import SiteError
from lab_parity.record.naming import Names, twins
from lab_parity.record.sites import UpdateSite

__all__ = ["Group", "OptimizerView", "Views"]


@attrs.frozen(slots=True, eq=False)
class Group:
    """Parameters that share hyperparameters; `names` are module paths."""

    names: Sequence[str]
    tensors: Sequence[Tensor]
    hyper: Mapping[str, Any]


@attrs.frozen(slots=True, eq=False)
class OptimizerView:
    """One optimizer at one moment; `state` maps a parameter's name to its state tensors and numbers.

    `averages` are the modules that were copies of a trained one, and trained by nobody, when it first stepped.
    """

    groups: Sequence[Group]
    state: Mapping[str, Mapping[str, Any]]
    roots: Sequence[nn.Module]
    averages: Sequence[nn.Module] = ()

    def parameters(self) -> list[tuple[str, Tensor]]:
        """(name, parameter) in the groups' order."""
        return [pair for group in self.groups for pair in zip(group.names, group.tensors, strict=True)]


class Views:
    """Makes views, and labels optimizers opt0, opt1, … in the order of their first steps."""

    def __init__(self) -> None:
        self._names = Names()
        self._known: dict[int, _Known] = {}
        self._labels = 0

    def of_torch(self, optimizer: Optimizer) -> OptimizerView:
        """A torch.optim optimizer as it is now."""
        return self._view(optimizer, optimizer.param_groups, optimizer.state)

    def of_site(self, site: UpdateSite, optimizer: Any) -> OptimizerView:
        """A home-grown optimizer as it is now. Raises SiteError when it is not laid out as the site says."""
        groups = getattr(optimizer, site.groups, None)
        if not isinstance(groups, (list, tuple)) or not all(isinstance(g, Mapping) and "params" in g for g in groups):
            raise SiteError(
                f"update site {site.target}: {type(optimizer).__name__}.{site.groups} is a "
                f"{type(groups).__name__}, expected a list of dicts with 'params'"
            )
        slots = getattr(optimizer, site.slots, None) if site.slots else None
        return self._view(optimizer, groups, slots if isinstance(slots, Mapping) else {})

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

    def _view(self, optimizer: Any, groups: Sequence[Mapping[str, Any]], state: Mapping[Any, Any]) -> OptimizerView:
        made: list[Group] = []
        slots: dict[str, Mapping[str, Any]] = {}
        for group in groups:
            params = group["params"]
            tensors = [params] if isinstance(params, Tensor) else list(params)
            given = list(group.get("names", ()))
            names = self._names.resolve(tensors, given)
            made.append(Group(names, tensors, group))
            for position, (name, tensor) in enumerate(zip(names, tensors, strict=True)):
                entry = state.get(tensor)
                if entry is None and position < len(given):
                    entry = state.get(given[position])
                if isinstance(entry, Mapping):
                    slots[name] = entry
        known = self._known.get(id(optimizer))
        if known is None or known.of() is not optimizer:
            roots = self._names.roots(tensor for group in made for tensor in group.tensors)
            trained = {id(root) for other in self._known.values() for root in alive(other.roots)}
            averages = [module for module in twins(roots) if id(module) not in trained]
            known = self._known[id(optimizer)] = _Known(
                _reference(optimizer), list(map(weakref.ref, roots)), list(map(weakref.ref, averages))
            )
        return OptimizerView(made, slots, alive(known.roots), alive(known.averages))


@attrs.define(slots=True, eq=False)
class _Known:
    """What is remembered of an optimizer, without keeping it alive."""

    of: Callable[[], Any]
    roots: list[weakref.ref[nn.Module]]
    averages: list[weakref.ref[nn.Module]]
    label: str | None = None
    taken: int = 0


def alive(references: Sequence[weakref.ref[nn.Module]]) -> list[nn.Module]:
    """What they refer to, as far as it is still there."""
    return [module for module in (reference() for reference in references) if module is not None]


def _reference(thing: Any) -> Callable[[], Any]:
    """Something that returns `thing` when called; weak wherever the object allows it."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing
