"""The proof that a checkpoint is another one, converted: coverage on both sides, bit by bit, and the way back."""

from __future__ import annotations

from pathlib import Path

import attrs

from lab_bridge.checkpoint.contents import Contents
from lab_bridge.checkpoint.convert import only_weights, unmapped_faults
from lab_bridge.checkpoint.fault import Fault, find_faults
from lab_bridge.checkpoint.forward import forward_faults
from lab_bridge.checkpoint.mapping import Mapping, Order, apply
from lab_bridge.checkpoint.opened import Opened, Reading, open_checkpoint
from lab_bridge.checkpoint.parameter_names import names_in_entries
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.translate import contents_of, lost_on_the_way_back
from lab_bridge.checkpoint.tree import show

__all__ = ["Verification", "verify"]


@attrs.frozen
class Verification:
    """`compared` counts entries and tensors that both sides have; without any there is no verdict."""

    source: Opened
    target: Opened
    compared: int
    tensors: int
    faults: tuple[Fault, ...]
    dropped: dict[str, str]
    notes: tuple[str, ...] = ()
    #: Whether one forward pass of both models was compared as well.
    forward: bool = False

    @property
    def exit_code(self) -> int:
        """0 verified, 1 faults, 3 nothing to compare."""
        return 1 if self.faults else 0 if self.tensors else 3


def verify(
    source: str | Path,
    target: str | Path,
    only: str | None = None,
    reading: Reading | None = None,
    mapping: Mapping | None = None,
    forward: tuple[str, str] | None = None,
) -> Verification:
    """Compare every entry of `source` with what `target` holds for it; then go the way back to every source leaf.

    With a `mapping`, the entries are what the mapping makes of them, and the way back is its reverse. `forward` names
    who builds the legacy and the migrated model (see `forward.py`): their code is run, for one forward pass each.
    """
    a, b = open_checkpoint(source, reading), open_checkpoint(target, reading)
    expected, dropped = a.contents, {}
    if only is not None:
        expected, left = only_weights(expected)
        dropped = {show(where): "only weights were asked for" for where in left}
    unmapped = expected
    if mapping is not None:
        mapped = apply(mapping, expected, _order_in(b.contents, expected, mapping))
        dropped |= {show(where): reason for where, reason in mapped.reasons.items()}
        expected = mapped.contents
    found = _as_named(expected, b)
    faults = find_faults(expected.entries, found.entries)
    if mapping is not None and not faults:
        faults = [
            attrs.evolve(fault, kind="way-back", message=f"on the way back: {fault.message}")
            for fault in unmapped_faults(found, unmapped, mapping)
        ]
    elif not dropped and not faults:
        faults = _way_back(a, found)
    if forward is not None:
        faults = [*faults, *forward_faults(a.contents.weights(), b.contents.weights(), *forward)]
    shared = [leaf for where, leaf in expected.entries.items() if where in found.entries]
    tensors = sum(isinstance(leaf, StoredTensor) for leaf in shared)
    return Verification(a, b, len(shared), tensors, tuple(faults), dropped, found.notes, forward is not None)


def _as_named(expected: Contents, target: Opened) -> Contents:
    """The target's contents, its optimizers' parameters named as expected where it could not tell them by itself."""
    known, said = names_in_entries(expected.entries), names_in_entries(target.contents.entries)
    if not known.names or said.names.keys() >= known.names.keys():
        return target.contents
    return contents_of(target.leaves, target.format, known)


def _order_in(target: Contents, source: Contents, mapping: Mapping) -> Order | None:
    """The target's order, where it has just the weights that the mapping gives; what is wrong shows in the faults."""
    order = Order.of(target)
    made = apply(mapping, source).contents.weights()
    return order if set(order.weights) == set(made) else None


def _way_back(source: Opened, found: Contents) -> list[Fault]:
    return [
        Fault("way-back", show(path), f"{show(path)}: expected it again on the way back, found it changed")
        for path in lost_on_the_way_back(found, source.leaves, source.format)
    ]
