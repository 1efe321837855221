"""What an operation of a mapping is: from names and tensors to names and tensors, and its own reverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.stored import StoredTensor

__all__ = ["Operation", "check_wildcards"]


class Operation(Protocol):
    """One declared step, e.g. a split. `word` is its name in a mapping file."""

    word: ClassVar[str]

    @property
    def sources(self) -> tuple[NamePattern, ...]:
        """The names it takes."""
        ...

    @property
    def targets(self) -> tuple[NamePattern, ...]:
        """The names it gives."""
        ...

    @property
    def reason(self) -> str:
        """Why something is left out; empty where nothing is."""
        ...

    def forward(self, tensors: Sequence[StoredTensor]) -> list[StoredTensor]:
        """The tensors of `targets` from those of `sources`. Raises `ValueError` where they do not fit."""
        ...

    def reverse(self) -> Operation:
        """The operation that undoes this one."""
        ...

    def problems(self) -> list[str]:
        """What is wrong with it as it is declared."""
        ...


def check_wildcards(sources: Sequence[NamePattern], targets: Sequence[NamePattern]) -> list[str]:
    """All patterns of an operation need the same wildcards, or it could not go back."""
    first = (*sources, *targets)[0].wildcards
    return [
        f"{pattern.text}: expected the wildcards {' '.join(first) or 'none'}, "
        f"found {' '.join(pattern.wildcards) or 'none'}"
        for pattern in (*sources, *targets)
        if pattern.wildcards != first
    ]
