"""What the phases are shown of an optimizer when it steps, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor, nn

__all__ = ["Group", "OptimizerView"]


@attrs.frozen(slots=True, eq=False)
class Group:
    """Parameters that share hyperparameters; `names` are module paths."""

    names: Sequence[str]
    tensors: Sequence[Tensor]
    hyper: Mapping[str, Any]


@attrs.frozen(slots=True, eq=False)
class OptimizerView:
    """One optimizer at one moment; `state` maps a parameter's name to its state tensors and numbers."""

    groups: Sequence[Group]
    state: Mapping[str, Mapping[str, Any]]
    roots: Sequence[nn.Module]

    def parameters(self) -> list[tuple[str, Tensor]]:
        """(name, parameter), each once, in the groups' order."""
        return [pair for group in self.groups for pair in zip(group.names, group.tensors, strict=True)]
