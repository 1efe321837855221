"""`[[split]]`: one tensor becomes several along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.mapping.operation import Operation, check_wildcards
from lab_bridge.checkpoint.stored import StoredTensor


@attrs.frozen
class Split:
    """`from = "attn.*.qkv.weight"`, `to = ["attn.*.q.weight", …]`, `axis = 0`, `sizes = […]` unless the parts are
    equal. Its reverse is a merge."""

    source: NamePattern
    target: tuple[NamePattern, ...]
    axis: int = 0
    sizes: tuple[int, ...] = ()
    word: ClassVar[str] = "split"
    reason: ClassVar[str] = ""

    @property
    def sources(self) -> tuple[NamePattern, ...]:
        """One."""
        return (self.source,)

    @property
    def targets(self) -> tuple[NamePattern, ...]:
        """The parts, in order."""
        return self.target

    def forward(self, tensors: Sequence[StoredTensor]) -> list[StoredTensor]:
        """Views; nothing is read."""
        (whole,) = tensors
        if self.axis >= len(whole.shape):
            raise ValueError(f"expected an axis {self.axis}, found shape {whole.shape}")
        size = whole.shape[self.axis]
        sizes = self.sizes or (size // len(self.target),) * len(self.target)
        if sum(sizes) != size:
            raise ValueError(f"expected parts {sizes} of axis {self.axis}, found shape {whole.shape}")
        starts = [sum(sizes[:at]) for at in range(len(sizes))]
        return [whole.narrow(self.axis, start, part) for start, part in zip(starts, sizes, strict=True)]

    def reverse(self) -> Operation:
        """A merge."""
        from lab_bridge.checkpoint.mapping.operations.merge import Merge

        return Merge(self.target, self.source, self.axis, self.sizes)

    def problems(self) -> list[str]:
        """Wildcards that do not go back; sizes for other parts."""
        found = check_wildcards(self.sources, self.targets)
        if len(self.target) < 2 or len(self.sizes) not in (0, len(self.target)):
            found.append(
                f"expected two or more parts with a size each, or none, found {len(self.target)}, {self.sizes}"
            )
        return found


OPERATION = Split
