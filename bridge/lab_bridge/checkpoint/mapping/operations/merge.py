"""`[[merge]]`: several tensors become one, concatenated along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.mapping.operation import Operation
from lab_bridge.checkpoint.stored import StoredTensor, join


@attrs.frozen
class Merge:
    """`from = ["attn.*.q.weight", …]`, `to = "attn.*.qkv.weight"`, `axis = 0`, `sizes = […]` unless the parts are
    equal. Its reverse is a split."""

    source: tuple[NamePattern, ...]
    target: NamePattern
    axis: int = 0
    sizes: tuple[int, ...] = ()
    word: ClassVar[str] = "merge"
    reason: ClassVar[str] = ""

    @property
    def sources(self) -> tuple[NamePattern, ...]:
        """The parts, in order."""
        return self.source

    @property
    def targets(self) -> tuple[NamePattern, ...]:
        """One."""
        return (self.target,)

    def forward(self, tensors: Sequence[StoredTensor]) -> list[StoredTensor]:
        """Concatenated when somebody reads it."""
        others = {(*part.shape[: self.axis], *part.shape[self.axis + 1 :]) for part in tensors}
        if len(others) > 1 or len({part.dtype for part in tensors}) > 1 or self.axis >= len(tensors[0].shape):
            found = ", ".join(f"{part.shape} {part.dtype}" for part in tensors)
            raise ValueError(f"expected parts that differ along axis {self.axis} only, found {found}")
        sizes = tuple(part.shape[self.axis] for part in tensors)
        if sizes != (self.sizes or (sizes[0],) * len(sizes)):
            raise ValueError(
                f"expected sizes {self.sizes or 'all equal'}, found {sizes}; declare sizes = {list(sizes)}"
            )
        return [join(tensors, self.axis)]

    def reverse(self) -> Operation:
        """A split."""
        from lab_bridge.checkpoint.mapping.operations.split import Split

        return Split(self.target, self.source, self.axis, self.sizes)

    def problems(self) -> list[str]:
        """As the split it goes back by."""
        return self.reverse().problems()


OPERATION = Merge
