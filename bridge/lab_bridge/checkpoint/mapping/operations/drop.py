"""`[[drop]]`: left out, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.mapping.operation import Operation
from lab_bridge.checkpoint.stored import StoredTensor


@attrs.frozen
class Drop:
    """`from = "encoder.mask"`, `reason = "computed in forward"`. Its reverse is nothing: what was left out is gone."""

    source: NamePattern
    reason: str
    word: ClassVar[str] = "drop"

    @property
    def sources(self) -> tuple[NamePattern, ...]:
        """One."""
        return (self.source,)

    @property
    def targets(self) -> tuple[NamePattern, ...]:
        """None."""
        return ()

    def forward(self, tensors: Sequence[StoredTensor]) -> list[StoredTensor]:
        """Nothing."""
        return []

    def reverse(self) -> Operation:
        """None: see `Mapping.reverse`."""
        return self

    def problems(self) -> list[str]:
        """No reason."""
        return [] if self.reason.strip() else ["expected a reason, found none"]


OPERATION = Drop
