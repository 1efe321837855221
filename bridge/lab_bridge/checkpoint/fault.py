"""What is wrong between two checkpoints, named: not only that a tensor differs, but whose values it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import xxhash

from lab_bridge.checkpoint.contents import is_reading, parameter_name, section
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.tree import Leaf, TreePath, same_leaf, show

__all__ = ["Fault", "find_faults"]


@attrs.frozen
class Fault:
    """`kind`: missing, unexplained, swapped, transposed, shape, value, untied, tied, way-back, or forward."""

    kind: str
    where: str
    message: str


def find_faults(expected: Mapping[TreePath, Leaf], found: Mapping[TreePath, Leaf]) -> list[Fault]:
    """Every difference between what a target should hold and what it holds, both by address."""
    faults = [_missing(where) for where in expected if where not in found and not is_reading(where)]
    faults += [_unexplained(where) for where in found if where not in expected and not is_reading(where)]
    differing = [where for where in expected if where in found and not same_leaf(expected[where], found[where])]
    owners: dict[str, list[TreePath]] = {}
    for where in {*differing, *(where for where in expected if where not in found)}:
        if isinstance(leaf := expected[where], StoredTensor):
            owners.setdefault(_digest(leaf), []).append(where)
    faults += [_differing(where, expected[where], found[where], owners) for where in differing]
    return _runs_as_one(faults + _ties(expected, found))


def _runs_as_one(faults: list[Fault]) -> list[Fault]:
    """Entries of one list (the 624 words of a generator) as one fault."""
    kept: dict[tuple[str, str], Fault] = {}
    more: dict[tuple[str, str], int] = {}
    for fault in faults:
        of_list = fault.where.endswith("]") and fault.kind == "value"
        key = (fault.kind, fault.where.rpartition("[")[0] if of_list else fault.where)
        if kept.setdefault(key, fault) is not fault:
            more[key] = more.get(key, 0) + 1
    return [
        attrs.evolve(fault, message=f"{fault.message}, and {more[key]} more in this list") if key in more else fault
        for key, fault in kept.items()
    ]


def _missing(where: TreePath) -> Fault:
    return Fault("missing", show(where), f"{show(where)}: expected it in the target, found none")


def _unexplained(where: TreePath) -> Fault:
    return Fault("unexplained", show(where), f"{show(where)}: found in the target, expected by nothing in the source")


def _differing(where: TreePath, expected: Leaf, found: Leaf, owners: Mapping[str, list[TreePath]]) -> Fault:
    name = show(where)
    if not (isinstance(expected, StoredTensor) and isinstance(found, StoredTensor)):
        return Fault("value", name, f"{name}: expected {_told(expected)}, found {_told(found)}")
    holders = [other for other in owners.get(_digest(found), []) if other != where]
    if holders:
        kin = [other for other in holders if section(other) == section(where) and other[-1] == where[-1]] or holders
        whose = show(kin[0])
        told = f"{name}: expected its own values, found those of {whose}"
        if section(where) == "optimizer" and parameter_name(kin[0]) != parameter_name(where):
            told += f"; the optimizer's state lies at the index of another parameter ({parameter_name(kin[0])})"
        return Fault("swapped", name, told)
    turned = len(found.shape) == 2 and found.dtype == expected.dtype and found.shape == expected.shape[::-1]
    if turned and same_leaf(found.permute((1, 0)), expected):
        return Fault("transposed", name, f"{name}: expected {_told(expected)}, found it transposed")
    if (expected.shape, expected.dtype) != (found.shape, found.dtype):
        return Fault("shape", name, f"{name}: expected {_told(expected)}, found {_told(found)}")
    differing, total = _count(expected, found)
    return Fault(
        "value", name, f"{name}: expected the source's values, found {differing} of {total} elements different"
    )


def _count(expected: StoredTensor, found: StoredTensor) -> tuple[int, int]:
    a, b = expected.load().flatten(), found.load().flatten()
    same = (a == b) | ((a != a) & (b != b))
    # Zeros of either sign and NaNs compare equal here though their bits differ; then at least one does.
    return max(1, int((~same).sum())), expected.count


def _digest(tensor: StoredTensor) -> str:
    digest = xxhash.xxh3_128(f"{tensor.dtype} {tensor.shape}".encode())
    for chunk in tensor.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def _ties(expected: Mapping[TreePath, Leaf], found: Mapping[TreePath, Leaf]) -> list[Fault]:
    both = [where for where in expected if where in found]
    faults = []
    before, after = _tied(both, expected), _tied(both, found)
    for where, other in before.items():
        if after.get(where) != other and not _together(after, where, other):
            names = f"{show(where)} and {show(other)}"
            faults.append(Fault("untied", show(where), f"{names}: expected one tied tensor, found two"))
    for where, other in after.items():
        if not _together(before, where, other):
            names = f"{show(where)} and {show(other)}"
            faults.append(Fault("tied", show(where), f"{names}: expected two tensors, found one tied one"))
    return faults


def _together(tied: Mapping[TreePath, TreePath], a: TreePath, b: TreePath) -> bool:
    return tied.get(a, a) == tied.get(b, b)


def _tied(wheres: Iterable[TreePath], leaves: Mapping[TreePath, Leaf]) -> dict[TreePath, TreePath]:
    """From every tied tensor to the first that it is one with."""
    first: dict[tuple[object, ...], TreePath] = {}
    tied = {}
    for where in wheres:
        leaf = leaves[where]
        if isinstance(leaf, StoredTensor) and leaf.count:
            other = first.setdefault(leaf.place, where)
            if other != where:
                tied[where] = other
    return tied


def _told(leaf: Leaf) -> str:
    if isinstance(leaf, StoredTensor):
        return (
            f"a tensor of {'x'.join(map(str, leaf.shape)) or 'no'} dimensions, {str(leaf.dtype).removeprefix('torch.')}"
        )
    text = repr(leaf)
    return text if len(text) <= 80 else f"{text[:77]}..."
