"""Which operation of a mapping takes which names, decided for all of them before a tensor is touched."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.mapping.declared import Mapping
from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.mapping.operation import Operation
from lab_bridge.checkpoint.mapping.operations.rename import Rename

__all__ = ["Claim", "claims"]


@attrs.frozen
class Claim:
    """One operation with its wildcards filled."""

    operation: Operation
    sources: tuple[str, ...]
    targets: tuple[str, ...]


def claims(mapping: Mapping, names: Sequence[str]) -> list[Claim]:
    """A claim for each name, in the order of the names; a name that no operation takes is renamed to itself.

    Raises `CheckpointError` naming at once every pattern that matches nothing, every name that two operations take,
    every part that is missing, and every target that would be filled twice.
    """
    problems: list[str] = []
    found: dict[str, Claim] = {}
    for operation in mapping.operations:
        for parts in _filled(operation, names, problems):
            claim = Claim(
                operation,
                tuple(pattern.fill(parts) for pattern in operation.sources),
                tuple(pattern.fill(parts) for pattern in operation.targets),
            )
            for name in claim.sources:
                if name in found:
                    both = f"{found[name].operation.word} and {operation.word}"
                    problems.append(f"{name}: expected one operation that takes it, found two: {both}")
                found[name] = claim
            problems += [
                f"{name}: expected by {operation.word} of {claim.sources[0]}, found no such weight"
                for name in claim.sources
                if name not in names
            ]
    every: list[Claim] = []
    for name in names:
        claim = found.get(name) or Claim(Rename(NamePattern(name), NamePattern(name)), (name,), (name,))
        if not any(claim is one for one in every):
            every.append(claim)
    by_target: dict[str, str] = {}
    for claim in every:
        for target in claim.targets:
            if target in by_target:
                problems.append(f"{target}: expected one source, found {by_target[target]} and {claim.sources[0]}")
            by_target[target] = claim.sources[0]
    if problems:
        raise CheckpointError("\n".join(f"mapping: {problem}" for problem in dict.fromkeys(problems)))
    return every


def _filled(operation: Operation, names: Sequence[str], problems: list[str]) -> list[tuple[str, ...]]:
    """What the wildcards of an operation stand for, each way once."""
    ways: dict[tuple[str, ...], None] = {}
    for pattern in operation.sources:
        matched = [parts for name in names if (parts := pattern.match(name)) is not None]
        if not matched:
            problems.append(f"{operation.word}: expected a weight that {pattern.text} matches, found none")
        ways |= dict.fromkeys(matched)
    return list(ways)
