"""An update with those inside it: settings and state are those of the optimizer that makes it, then of what is around.

Lab's `Torch` hands torch's optimizer its settings and copies some of its state; a wrapper has settings of its own, and
a state that the optimizer inside knows nothing of. What only the outer one has goes under `around.` in the state, since
a program without a wrapper has nothing like it.
"""

from __future__ import annotations

import itertools
from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import attrs
from torch import Tensor
from torch.optim import Optimizer

from lab_parity.keys import AROUND
from lab_parity.record.view import Group, OptimizerView

__all__ = ["parameters_of", "with_inside"]


def parameters_of(optimizer: Optimizer) -> set[int]:
    """Its parameters, by identity."""
    return {id(tensor) for _, tensor in _parameters(optimizer)}


def with_inside(view: OptimizerView, inside: Sequence[Optimizer]) -> OptimizerView:
    """The view of an update, whose parts were made by the optimizers `inside`."""
    if not inside:
        return view
    names = {id(tensor): name for name, tensor in view.parameters()}
    hyper: dict[str, Mapping[str, Any]] = {}
    state: dict[str, Mapping[str, Any]] = dict(view.state)
    for optimizer in inside:
        for group, tensor in _parameters(optimizer):
            name = names.get(id(tensor))
            if name is None:
                continue
            hyper[name] = group
            found = optimizer.state.get(tensor)
            state[name] = _with_around(found if isinstance(found, MutableMapping) else {}, view.state.get(name, {}))
    groups = [part for group in view.groups for part in _split(group, hyper)]
    return attrs.evolve(view, groups=groups, state=state)


def _parameters(optimizer: Optimizer) -> Iterator[tuple[dict[str, Any], Tensor]]:
    for group in optimizer.param_groups:
        params = group["params"]
        for tensor in [params] if isinstance(params, Tensor) else params:
            yield group, tensor


def _with_around(mine: MutableMapping[str, Any], outer: Mapping[str, Any]) -> Mapping[str, Any]:
    around = {f"{AROUND}{field}": value for field, value in outer.items() if field not in mine}
    return ChainMap(mine, around) if around else mine


def _split(group: Group, hyper: Mapping[str, Mapping[str, Any]]) -> Iterator[Group]:
    """Groups of those neighbours whose settings inside are the same dict; the order stays."""
    listed = zip(group.names, group.tensors, strict=True)
    for _, part in itertools.groupby(listed, key=lambda pair: id(hyper.get(pair[0]))):
        names, tensors = zip(*part, strict=True)
        yield Group(names, tensors, {**group.hyper, **hyper.get(names[0], {})})
