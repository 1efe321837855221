"""A checkpoint as a flat table: from the path of every leaf to the leaf, and back.

A path is a tuple of steps; a step keeps the kind of the container it stands in, so that the tree comes back with the
same lists, tuples and ordered dicts. A leaf is a tensor, a plain value, or an empty container.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.inert import Inert, finished
from lab_bridge.checkpoint.stored import StoredTensor

__all__ = ["Leaf", "Step", "TreePath", "flatten", "same_leaf", "show", "unflatten"]

Leaf = Any


class Step(NamedTuple):
    """One step into a container: its key, and the container's kind (dict, ordered, counter, list, tuple, attribute).

    A dict and an OrderedDict are no difference between two checkpoints, so steps into them are equal.
    """

    key: Any
    kind: str = "dict"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Step):
            return NotImplemented
        return bool(self.key == other.key) and type(self.key) is type(other.key) and self._kind == other._kind

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.key, self._kind))

    @property
    def _kind(self) -> str:
        return "dict" if self.kind == "ordered" else self.kind


TreePath = tuple[Step, ...]

#: The kind of the parts of a foreign object.
OBJECT = "object"

_KINDS: dict[type, str] = {dict: "dict", OrderedDict: "ordered", Counter: "counter", list: "list", tuple: "tuple"}


def flatten(tree: Any) -> dict[TreePath, Leaf]:
    """Every leaf under its path, in order. Raises `CheckpointError` for a tree that contains itself."""
    return dict(_walk(tree, (), set()))


def _walk(value: Any, path: TreePath, above: set[int]) -> Iterator[tuple[TreePath, Leaf]]:
    value = finished(value)
    if isinstance(value, Inert):
        yield from _walk_object(value, path, above)
        return
    kind = _KINDS.get(type(value))
    # state_dict() hangs the modules' versions on its OrderedDict as an attribute.
    extra = vars(value) if kind == "ordered" else {}
    if kind is None or not (value or extra):
        yield path, value
        return
    if id(value) in above:
        raise CheckpointError(f"{show(path)}: expected a tree, found a container inside itself")
    inside = above | {id(value)}
    pairs = enumerate(value) if kind in ("list", "tuple") else value.items()
    for key, inner in pairs:
        yield from _walk(inner, (*path, Step(finished(key), kind)), inside)
    for key, inner in extra.items():
        yield from _walk(inner, (*path, Step(key, "attribute")), inside)


def _walk_object(value: Inert, path: TreePath, above: set[int]) -> Iterator[tuple[TreePath, Leaf]]:
    if id(value) in above:
        raise CheckpointError(f"{show(path)}: expected a tree, found an object inside itself")
    yield (*path, Step("symbol", OBJECT)), value.symbol
    yield (*path, Step("how", OBJECT)), value.how
    for name in ("arguments", "state", "items", "pairs"):
        inner = getattr(value, name)
        if inner is not None and (inner or name == "arguments"):
            yield from _walk(inner, (*path, Step(name, OBJECT)), above | {id(value)})


def unflatten(leaves: Mapping[TreePath, Leaf]) -> Any:
    """The tree of a table. Raises `CheckpointError` where two leaves contradict each other."""
    if () in leaves:
        return leaves[()]
    return _grow(leaves.items(), 0)


def _grow(leaves: Iterable[tuple[TreePath, Leaf]], depth: int) -> Any:
    children: dict[Step, list[tuple[TreePath, Leaf]]] = {}
    for path, leaf in leaves:
        children.setdefault(path[depth], []).append((path, leaf))
    grown = {
        step: inner[0][1] if len(inner) == 1 and len(inner[0][0]) == depth + 1 else _grow(inner, depth + 1)
        for step, inner in children.items()
    }
    where = show(next(iter(children.values()))[0][0][:depth])
    kinds = {step.kind for step in grown if step.kind != "attribute"}
    if kinds <= {"dict", "ordered"} and (kinds != {"dict"} or any(step.kind == "attribute" for step in grown)):
        kinds = {"ordered"}
    if len(kinds) > 1:
        raise CheckpointError(f"{where}: expected one container, found {' and '.join(sorted(kinds))}")
    kind = kinds.pop()
    if kind in ("list", "tuple"):
        ordered = sorted(grown.items(), key=lambda pair: pair[0].key)
        if [step.key for step, _ in ordered] != list(range(len(ordered))):
            raise CheckpointError(f"{where}: expected entries 0 to n, found {[step.key for step, _ in ordered]}")
        items = [value for _, value in ordered]
        return items if kind == "list" else tuple(items)
    if kind == OBJECT:
        return _object({step.key: value for step, value in grown.items()})
    made: Any = {"dict": dict, "ordered": OrderedDict, "counter": Counter}[kind]()
    for step, value in grown.items():
        if step.kind == "attribute":
            vars(made)[step.key] = value
        else:
            made[step.key] = value
    return made


def _object(parts: dict[str, Any]) -> Inert:
    made: Inert = type(parts["symbol"].rsplit(".", 1)[-1], (Inert,), {"symbol": parts["symbol"]})(*parts["arguments"])
    for name in ("how", "state", "items", "pairs"):
        if name in parts:
            setattr(made, name, parts[name])
    return made


def show(path: TreePath) -> str:
    """A path as a person reads it: `optimizer_states[0].state[3].exp_avg`."""
    told = ""
    for step in path:
        if not isinstance(step.key, str):
            told += f"[{step.key!r}]"
        else:
            told += f".{step.key}" if told else step.key
    return told or "(the whole file)"


def same_leaf(a: Leaf, b: Leaf) -> bool:
    """Equal bit by bit: type, dtype, shape and bytes; NaN equals itself, -0.0 does not equal 0.0."""
    if isinstance(a, StoredTensor) and isinstance(b, StoredTensor):
        return same_tensor(a, b)
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, complex):
        return struct.pack("dd", a.real, a.imag) == struct.pack("dd", b.real, b.imag)
    if isinstance(a, torch.Tensor):
        return a is b
    return bool(a == b)


def same_tensor(a: StoredTensor, b: StoredTensor) -> bool:
    """Dtype, shape and bytes."""
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    return a.place == b.place or _same_bytes(a.chunks(), b.chunks())


def _same_bytes(left: Iterator[memoryview], right: Iterator[memoryview]) -> bool:
    a, b = memoryview(b""), memoryview(b"")
    while True:
        a = a or next(left, memoryview(b""))
        b = b or next(right, memoryview(b""))
        size = min(len(a), len(b))
        if not size:
            return not a and not b
        # As bytes: a memoryview compares element by element.
        if bytes(a[:size]) != bytes(b[:size]):
            return False
        a, b = a[size:], b[size:]
