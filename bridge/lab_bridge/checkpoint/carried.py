"""What a format has no place for travels under one key, as plain values, so that the way back loses nothing.

Foreign objects, numpy arrays and class names are written as plain values too: a converted file never needs more than
`weights_only=True`.
"""

from __future__ import annotations

import json

import numpy as np

from lab_bridge.checkpoint.inert import NumpyValue, Symbol
from lab_bridge.checkpoint.places import Place
from lab_bridge.checkpoint.tree import OBJECT, Leaf, Step, TreePath

__all__ = ["CARRIED", "as_plain", "from_plain", "is_plain"]

#: The key under which such things lie, in every format that is a tree.
KEY = "lab_migrate"

#: What has no place in the format at hand, by address.
CARRIED = Place(f"{KEY}/<rest...>", "<rest...>")

_PART = "lab_migrate.object:"
_NUMPY = b"lab_migrate.numpy:"
_SYMBOL = b"lab_migrate.symbol:"


def as_plain(path: TreePath, leaf: Leaf) -> tuple[TreePath, Leaf]:
    """A path and leaf without anything that only an import could make."""
    steps = tuple(Step(f"{_PART}{step.key}") if step.kind == OBJECT else _plain_step(step) for step in path)
    if isinstance(leaf, NumpyValue):
        told = json.dumps([leaf.dtype, leaf.shape, leaf.scalar]).encode()
        return steps, _NUMPY + told + b"\n" + leaf.data
    if isinstance(leaf, Symbol):
        return steps, _SYMBOL + leaf.name.encode()
    if isinstance(leaf, np.dtype):
        return steps, _NUMPY + leaf.str.encode()
    return steps, leaf


def is_plain(path: TreePath, leaf: Leaf) -> bool:
    """Whether `weights_only=True` reads it."""
    foreign = isinstance(leaf, NumpyValue | Symbol | np.dtype)
    return not foreign and all(step.kind != OBJECT and not isinstance(step.key, Symbol) for step in path)


def from_plain(path: TreePath, leaf: Leaf) -> tuple[TreePath, Leaf]:
    """Back."""
    steps = tuple(
        Step(step.key.removeprefix(_PART), OBJECT)
        if isinstance(step.key, str) and step.key.startswith(_PART)
        else Step(Symbol(step.key.removeprefix(_SYMBOL).decode()), step.kind)
        if isinstance(step.key, bytes) and step.key.startswith(_SYMBOL)
        else step
        for step in path
    )
    if isinstance(leaf, bytes) and leaf.startswith(_NUMPY):
        head, _, data = leaf.removeprefix(_NUMPY).partition(b"\n")
        if not head.startswith(b"["):
            return steps, np.dtype(head.decode())
        dtype, shape, scalar = json.loads(head)
        return steps, NumpyValue(dtype, tuple(shape), data, scalar)
    if isinstance(leaf, bytes) and leaf.startswith(_SYMBOL):
        return steps, Symbol(leaf.removeprefix(_SYMBOL).decode())
    return steps, leaf


def _plain_step(step: Step) -> Step:
    return Step(_SYMBOL + step.key.name.encode(), step.kind) if isinstance(step.key, Symbol) else step
