"""`[[transpose]]`: the axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.mapping.operation import Operation, check_wildcards
from lab_bridge.checkpoint.stored import StoredTensor


@attrs.frozen
class Transpose:
    """`from = "mlp.*.weight"`, `to = "mlp.*.weight"`, `axes = [1, 0]`. Its reverse has the inverse order."""

    source: NamePattern
    target: NamePattern
    axes: tuple[int, ...] = (1, 0)
    word: ClassVar[str] = "transpose"
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
        """A view, made row-major when it is written."""
        (tensor,) = tensors
        if len(tensor.shape) != len(self.axes):
            raise ValueError(f"expected {len(self.axes)} axes, found shape {tensor.shape}")
        return [tensor.permute(self.axes).materialised()]

    def reverse(self) -> Operation:
        """The inverse order."""
        return Transpose(self.target, self.source, tuple(self.axes.index(axis) for axis in range(len(self.axes))))

    def problems(self) -> list[str]:
        """Wildcards that do not go back; axes that are no order."""
        found = check_wildcards(self.sources, self.targets)
        if sorted(self.axes) != list(range(len(self.axes))):
            found.append(f"expected axes 0 to {len(self.axes) - 1} in some order, found {list(self.axes)}")
        return found


OPERATION = Transpose
