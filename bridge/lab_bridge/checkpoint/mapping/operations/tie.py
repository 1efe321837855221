"""`[[tie]]`: names that stand for one tensor, where the other side has fewer or more of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from lab_bridge.checkpoint.mapping.names import NamePattern
from lab_bridge.checkpoint.mapping.operation import Operation, check_wildcards
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.tree import same_tensor


@attrs.frozen
class Tie:
    """`from = "embed.weight"`, `to = ["embed.weight", "head.weight"]`, or the other way round. Its reverse is a tie.

    Several sources must be one tensor or equal ones. Optimizer state goes to the first target, as torch counts a tied
    parameter once.
    """

    source: tuple[NamePattern, ...]
    target: tuple[NamePattern, ...]
    word: ClassVar[str] = "tie"
    reason: ClassVar[str] = ""

    @property
    def sources(self) -> tuple[NamePattern, ...]:
        """All names of the one tensor."""
        return self.source

    @property
    def targets(self) -> tuple[NamePattern, ...]:
        """All names of the one tensor."""
        return self.target

    def forward(self, tensors: Sequence[StoredTensor]) -> list[StoredTensor]:
        """The same tensor for every target."""
        first, *others = tensors
        for name, other in zip(self.source[1:], others, strict=False):
            if not same_tensor(first, other):
                raise ValueError(f"expected one tensor under all names, found other values under {name.text}")
        return [first] * len(self.target)

    def reverse(self) -> Operation:
        """A tie."""
        return Tie(self.target, self.source)

    def problems(self) -> list[str]:
        """Wildcards that do not go back."""
        return check_wildcards(self.sources, self.targets)


OPERATION = Tie
