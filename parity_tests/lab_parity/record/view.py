"""What the phases are shown of an optimizer when it steps, whoever wrote it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor, nn
from torch.optim import Optimizer

from lab_parity.errors import SiteError
from lab_parity.record.naming import Names
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
    """One optimizer at one moment; `state` maps a parameter's name to its state tensors and numbers."""

    label: str
    groups: Sequence[Group]
    state: Mapping[str, Mapping[str, Any]]
    roots: Sequence[nn.Module]

    def parameters(self) -> list[tuple[str, Tensor]]:
        """(name, parameter) in the groups' order."""
        return [pair for group in self.groups for pair in zip(group.names, group.tensors, strict=True)]


class Views:
    """Makes views. An optimizer's label is opt0, opt1, … in the order of the first steps."""

    def __init__(self) -> None:
        self._names = Names()
        self._labels: dict[int, tuple[Any, str]] = {}
        self._roots: dict[str, list[weakref.ref[nn.Module]]] = {}

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

    def _view(self, optimizer: Any, groups: Sequence[Mapping[str, Any]], state: Mapping[Any, Any]) -> OptimizerView:
        label = self._label(optimizer)
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
        if label not in self._roots:
            roots = self._names.roots(tensor for group in made for tensor in group.tensors)
            self._roots[label] = [weakref.ref(root) for root in roots]
        live = [root for root in (reference() for reference in self._roots[label]) if root is not None]
        return OptimizerView(label, made, slots, live)

    def _label(self, optimizer: Any) -> str:
        reference, label = self._labels.get(id(optimizer), (None, ""))
        if reference is None or reference() is not optimizer:
            label = f"opt{len(self._labels)}"
            self._labels[id(optimizer)] = (_reference(optimizer), label)
        return label


def _reference(thing: Any) -> Any:
    """Something that returns `thing` when called; weak wherever the object allows it."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing
