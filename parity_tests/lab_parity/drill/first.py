"""Which operation made the difference: traced back, by values, from the first tensor that differs.

A value is *shared* when it occurs on both sides during the step, whatever they do with it. From the differing tensor
the search goes back through the values that only one side has; an operation that makes such a value out of shared ones
alone is where the sides part. That needs no pairing of operations: what one side does besides (logging, hooks, copies)
does not disturb it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from lab_parity.pairing import Pairing
from lab_parity.record.operations import Operation, operations_path, read_operations
from lab_parity.side import Side
from lab_parity.trace import Key, Step, Trace
from lab_parity.verdict import Divergence

__all__ = ["Drill", "drill_down"]

_SHOWN = 3
_FEW = 3
_DEFAULT = "its default"
_USUAL = "in the usual order"


@attrs.frozen(slots=True)
class Drill:
    """Where two runs part: the operation on each side, None on a side that has none, and what differs in it.

    `tensor` is what it was traced back from.
    """

    legacy: Operation | None
    migrated: Operation | None
    tensor: str
    what: str

    def sentence(self) -> str:
        """One sentence for a person."""
        return f"The first operation that differs (on the way to {self.tensor}): {self.what}."

    def lines(self) -> list[str]:
        """The sentence and the stacks of both sides."""
        said = [self.sentence()]
        for side, operation in (("legacy", self.legacy), ("migrated", self.migrated)):
            if operation is None:
                said.append(f"  {side:8}  no such operation")
                continue
            said.append(f"  {side:8}  {_shown(operation.stack)}")
            if operation.forward:
                said.append(f"            in the backward pass of {_shown(operation.forward)}")
        return said

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        return {**attrs.asdict(self), "sentence": self.sentence()}


def drill_down(traces: tuple[Trace, Trace], first: Divergence) -> Drill | None:
    """The operation at which two runs part; None where none is found (data that torch did not make, settings).

    `traces` are those of reruns that recorded the operations of the step of `first` beside them. Raises TraceError
    where they are missing.
    """
    a, b = (_Side(read_operations(operations_path(Path(trace.path), first.step))) for trace in traces)
    shared = a.values & b.values
    for name, left, right in _targets(traces, first):
        if first.phase == "grad" and not name.startswith("grad "):
            return None  # what gradients are added to is no operation, and what comes of them is none that differs
        roots = a.first_of(left, shared), b.first_of(right, shared)
        if roots != (None, None):
            mine, other = roots
            if mine is not None and other is not None and mine.name != other.name:
                # One side does something before what both do.
                before = b.goes_on(other, mine), a.goes_on(mine, other)
                if before != (True, True):
                    mine, other = None if before[0] else mine, None if before[1] else other
            return Drill(mine, other, name, _difference(mine, other))
    return None


class _Side:
    """One side's operations, and which of them first made each value."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._made: dict[str, int] = {}
        self.values: set[str] = set()
        for place, operation in enumerate(operations):
            self.values.update(operation.inputs, operation.outputs)
            for value in operation.outputs:
                # What goes through unchanged was there before.
                if value not in operation.inputs:
                    self._made.setdefault(value, place)

    def first_of(self, value: str, shared: set[str]) -> Operation | None:
        """The earliest operation behind a value that made something new of shared values alone.

        None for a shared value: this side stops short of what the other one does to it.
        """
        if value in shared:
            return None
        waiting, seen, roots = [value], {value}, []
        while waiting:
            place = self._made.get(waiting.pop())
            if place is None:
                continue
            new = [made for made in self._operations[place].inputs if made not in shared]
            if not new:
                roots.append(place)
            waiting += [made for made in new if made not in seen]
            seen.update(new)
        return self._operations[min(roots)] if roots else None

    def goes_on(self, first: Operation, then: Operation) -> bool:
        """Whether this side does `then` as well, a few operations on, to what `first` has made."""
        made = dict.fromkeys(first.outputs, 0)
        for operation in self._operations[self._operations.index(first) + 1 :]:
            distance = min((made[value] for value in operation.inputs if value in made), default=_FEW)
            if distance < _FEW:
                if (operation.name, operation.settings) == (then.name, then.settings):
                    return True
                for value in operation.outputs:
                    made.setdefault(value, distance + 1)
        return False


def _targets(traces: tuple[Trace, Trace], first: Divergence) -> Iterator[tuple[str, str, str]]:
    """(name, legacy value, migrated value) of everything that differs in the step, in causal order."""
    pairing = Pairing()
    a, b = (_at(trace, first.step, side) for trace, side in zip(traces, (pairing.a, pairing.b), strict=True))
    if a is None or b is None or a.optimizer != b.optimizer:
        return
    pairs = pairing.of(a, b)
    for left, right, key in zip(pairs.a, pairs.b, pairs.keys, strict=True):
        mine, other = a.digests[left].tobytes().hex(), b.digests[right].tobytes().hex()
        if mine != other and key.field != "hyper":
            yield _named(key), mine, other


def _at(trace: Trace, step: int, side: Side) -> Step | None:
    """A step; the names of its tensors follow from the first steps of the run."""
    for item in trace.steps():
        if isinstance(item, Step):
            side.keys(item)
            if item.step == step:
                return item
    return None


def _named(key: Key) -> str:
    micro = f" of micro-step {key.micro}" if key.micro >= 0 else ""
    return f"{key.phase} {' '.join(part for part in (key.name, key.field) if part)}{micro}"


def _difference(a: Operation | None, b: Operation | None) -> str:
    if a is None or b is None:
        there = a or b
        assert there is not None
        return f"only the {'migrated' if a is None else 'legacy'} run computes {_call(there)} there"
    if a.name != b.name:
        return f"{_call(a)} against {_call(b)}"
    mine, other = dict(a.settings), dict(b.settings)
    settings = [
        (name, mine.get(name, _absent(name)), other.get(name, _absent(name)))
        for name in {**mine, **other}
        if mine.get(name) != other.get(name)
    ]
    if settings:
        return f"{a.name} with {', '.join(f'{name} {x} against {y}' for name, x, y in settings[:_SHOWN])}"
    if a.inputs == b.inputs:
        return f"{a.name}, with the same inputs and settings and another result: kernel, threads or nondeterminism"
    return f"{a.name}, with other inputs that each side has, but in another place"


def _absent(name: str) -> str:
    return _USUAL if name.startswith("memory of ") else _DEFAULT


def _call(operation: Operation) -> str:
    given = ", ".join(f"{name}={value}" for name, value in operation.settings[:_SHOWN])
    return f"{operation.name}({given})"


def _shown(stack: Sequence[str]) -> str:
    """The innermost line, and the innermost one of the program's own where that is torch's."""
    own = [line for line in stack if not line.startswith("torch/")]
    lines = [*stack[:1], *(own[:2] if stack[:1] != tuple(own[:1]) else own[1:2])]
    return ", from ".join(dict.fromkeys(lines)) or "nowhere in the program"
