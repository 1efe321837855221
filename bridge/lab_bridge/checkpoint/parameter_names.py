"""Which parameter is number 17 of an optimizer: torch writes no names, so they are found by order and shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

from lab_bridge.checkpoint.contents import is_buffer, section
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.tree import Leaf, TreePath

__all__ = ["Names", "name_parameters", "names_in_entries"]

Shape = tuple[int, ...]

_NORM = re.compile(r"norm|(^|[._])ln([._]|\d)|(^|[._])bn\d*[._]")

#: Assignments looked at before giving up.
_PATIENCE = 200_000


@attrs.frozen
class Names:
    """Parameter names by optimizer and index; `notes` say how they were found, or why not."""

    names: Mapping[int, Sequence[str]] = attrs.field(factory=dict)
    notes: tuple[str, ...] = ()

    def name_of(self, optimizer: int, index: object) -> object:
        """The name of parameter number `index`; the index itself where none is known."""
        known = self.names.get(optimizer, ())
        return known[index] if isinstance(index, int) and 0 <= index < len(known) else index

    def index_of(self, optimizer: int, name: object) -> object:
        """Back."""
        known = self.names.get(optimizer, ())
        return list(known).index(name) if isinstance(name, str) and name in known else name


def names_in_entries(entries: Mapping[TreePath, Leaf]) -> Names:
    """The order of the parameters in the groups that the entries list."""
    ordered: dict[int, list[tuple[int, int, str]]] = {}
    for where, leaf in entries.items():
        keys = [step.key for step in where]
        if section(where) == "optimizer" and len(keys) == 6 and (keys[2], keys[4]) == ("param_groups", "params"):
            ordered.setdefault(keys[1], []).append((keys[3], keys[5], leaf))
    named = {number: [name for _, _, name in sorted(listed)] for number, listed in ordered.items()}
    return Names({number: names for number, names in named.items() if all(isinstance(name, str) for name in names)})


@attrs.frozen
class _Optimizer:
    """One state dict: the indices in each group, the shapes in the state of each index, names where it says some.

    `factors`: the shapes of the rows and columns that a parameter's squares are kept as (Adafactor).
    """

    groups: list[list[int]]
    shapes: dict[int, frozenset[Shape]]
    factors: dict[int, dict[str, Shape]]
    said: list[str]

    def agrees(self, index: int, shape: Shape) -> bool:
        """Whether a parameter of this shape can have this state."""
        found, factors = self.shapes.get(index), self.factors.get(index, {})
        fits = not factors or (
            len(shape) > 1
            and factors.get("row") in (shape[:-1], (*shape[:-1], 1))
            and factors.get("col") in ((*shape[:-2], shape[-1]), (*shape[:-2], 1, shape[-1]))
        )
        return fits and (not found or shape in found)


def name_parameters(
    weights: Mapping[str, StoredTensor], optimizers: Mapping[int, Mapping[TreePath, Leaf]], ordered: bool = True
) -> Names:
    """Name the parameters of optimizers, given the tensors of a state dict in its order (or, if not, in no order).

    `optimizers` holds the leaves of each state dict, from its root. Names that the file says (torch >= 2.6 with named
    parameters) come first; then the order of the weights, where there is one group and every shape agrees; then the
    only way to deal the weights out to the groups in their order that agrees with every shape. Nothing is guessed:
    where there are several ways, the indices stay.
    """
    named: dict[int, list[str]] = {}
    notes: list[str] = []
    candidates = _parameters(weights)
    for number, leaves in optimizers.items():
        found, note = (_name if ordered else _name_by_shape)(candidates, _read(leaves))
        if found is not None:
            named[number] = found
        if note:
            notes.append(f"optimizer[{number}]: {note}")
    return Names(named, tuple(notes))


def _parameters(weights: Mapping[str, StoredTensor]) -> list[tuple[str, Shape]]:
    seen: set[tuple[object, ...]] = set()
    found = []
    for name, tensor in weights.items():
        if is_buffer(name, tensor) or (tensor.count and tensor.place in seen):
            continue
        seen.add(tensor.place)
        found.append((name, tensor.shape))
    return found


def _read(leaves: Mapping[TreePath, Leaf]) -> _Optimizer:
    groups: dict[int, dict[int, int]] = {}
    said: dict[tuple[int, int], str] = {}
    shapes: dict[int, list[Shape]] = {}
    factors: dict[int, dict[str, Shape]] = {}
    for path, leaf in leaves.items():
        keys = [step.key for step in path]
        if len(keys) == 4 and keys[0] == "param_groups" and keys[2] == "params":
            groups.setdefault(keys[1], {})[keys[3]] = leaf
        elif len(keys) == 4 and keys[0] == "param_groups" and keys[2] == "param_names":
            said[keys[1], keys[3]] = leaf
        elif keys[:1] == ["state"] and len(keys) == 3 and isinstance(leaf, StoredTensor):
            factor = next((word for word in ("row", "col") if word in str(keys[2])), None)
            if factor is None:
                shapes.setdefault(keys[1], []).append(leaf.shape)
            else:
                factors.setdefault(keys[1], {})[factor] = leaf.shape
    listed = [[groups[g][j] for j in sorted(groups[g])] for g in sorted(groups)]
    # One slot of no dimensions is a counter, which says nothing of its parameter's shape.
    told = {
        index: frozenset(found) - {()} or frozenset(found if len(found) > 1 and index not in factors else ())
        for index, found in shapes.items()
    }
    return _Optimizer(listed, told, factors, [said[key] for key in sorted(said)])


def _name(candidates: list[tuple[str, Shape]], optimizer: _Optimizer) -> tuple[list[str] | None, str]:
    order = [index for group in optimizer.groups for index in group]
    if not order or isinstance(order[0], str):
        return None, ""
    if order != list(range(len(order))):
        return None, "parameters are not counted through the groups; they keep their numbers"
    if len(optimizer.said) == len(order):
        return optimizer.said, "parameter names as the file says them"
    # Groups may take the weights in any order: a head first, to give it a rate of its own.
    if len(optimizer.groups) == 1 and len(candidates) == len(order) and _agree(candidates, order, optimizer):
        return [name for name, _ in candidates], (
            f"parameter names by the order of the weights; {len(optimizer.shapes)} of {len(order)} shapes agree"
        )
    ruled = _weight_decay_split(candidates, optimizer.groups)
    if ruled and _agree(ruled, order, optimizer):
        return [name for name, _ in ruled], (
            "parameter names by order and shape, biases and norms without weight decay in a group of their own"
        )
    found = _deal(candidates, optimizer)
    if len(found) == 1:
        return found[0], "parameter names by the only order of the weights that agrees with every shape"
    why = "several orders of the weights agree with the shapes" if found else "no order of the weights agrees"
    return None, f"{why}; parameters keep their numbers"


def _name_by_shape(candidates: list[tuple[str, Shape]], optimizer: _Optimizer) -> tuple[list[str] | None, str]:
    """The names, where no two parameters have one shape."""
    order = [index for group in optimizer.groups for index in group]
    if not order or isinstance(order[0], str):
        return None, ""
    if len(optimizer.said) == len(order):
        return optimizer.said, "parameter names as the file says them"
    fitting = [[name for name, shape in candidates if optimizer.agrees(index, shape)] for index in order]
    names = [found[0] for found in fitting if len(found) == 1]
    if len({*names}) == len(order):
        return names, "parameter names by their shapes, all different"
    return None, "the file has the weights in no order, so parameters keep their numbers"


def _agree(candidates: list[tuple[str, Shape]], order: list[int], optimizer: _Optimizer) -> bool:
    return all(optimizer.agrees(index, shape) for index, (_, shape) in zip(order, candidates, strict=True))


def _weight_decay_split(candidates: list[tuple[str, Shape]], groups: list[list[int]]) -> list[tuple[str, Shape]] | None:
    """Hugging Face's two groups, the second holding biases and norms; None where the sizes differ."""
    spared = [pair for pair in candidates if pair[0].endswith("bias") or _NORM.search(pair[0].lower())]
    decayed = [pair for pair in candidates if pair not in spared]
    return decayed + spared if [len(group) for group in groups] == [len(decayed), len(spared)] else None


def _deal(candidates: list[tuple[str, Shape]], optimizer: _Optimizer) -> list[list[str]]:
    """Up to two ways to deal the weights out, each group keeping their order; none where that takes too long."""
    found: list[list[str]] = []
    groups = optimizer.groups
    total = sum(len(group) for group in groups)
    tried = 0

    def go(at: int, taken: tuple[int, ...], names: dict[int, str]) -> None:
        nonlocal tried
        tried += 1
        if tried > _PATIENCE or len(found) > 1:
            return
        if len(names) == total:
            found.append([names[index] for group in groups for index in group])
            return
        if len(candidates) - at < total - len(names):
            return
        name, shape = candidates[at]
        for number, group in enumerate(groups):
            if taken[number] < len(group) and optimizer.agrees(group[taken[number]], shape):
                onward = (*taken[:number], taken[number] + 1, *taken[number + 1 :])
                go(at + 1, onward, {**names, group[taken[number]]: name})
        go(at + 1, taken, names)

    if total <= len(candidates) <= 400:
        go(0, (0,) * len(groups), {})
    return found if tried <= _PATIENCE else []
