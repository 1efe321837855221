"""`[[rename]]`: another name for the same tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.mapping.operation import Operation, check_wildcards
from lab_bridge.checkpoint.stored import StoredTensor


@attrs.frozen
class Rename:
    """`from = "encoder.*.fc.weight"`, `to = "blocks.*.mlp.weight"`. Its reverse is a rename."""

    source: NamePattern
    target: NamePattern
    word: ClassVar[str] = "rename"
    reason: ClassVar[str] = ""

    @property
    def sources(self) -> tuple[NamePattern, ...]:
        """One."""
        return (self.source,)

    @property
    def targets(self) -> tuple[NamePattern, ...]:
        """One."""
        return (self.target,)

    def forward(self, tensors: Sequence[StoredTensor]) -> list[StoredTensor]:
        """As they are."""
        return list(tensors)

    def reverse(self) -> Operation:
        """A rename."""
        return Rename(self.target, self.source)

    def problems(self) -> list[str]:
        """Wildcards that do not go back."""
        return check_wildcards(self.sources, self.targets)


OPERATION = Rename
