"""What several tests train: a network with running statistics, and a framework's module that only holds things."""

from __future__ import annotations

from torch import nn

__all__ = ["Shell", "network"]


class Shell(nn.Module):
    """Holds what it is given, and is not called."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


def network(inputs: int, outputs: int) -> nn.Sequential:
    """(B, inputs) -> (B, outputs), with running statistics."""
    return nn.Sequential(nn.Linear(inputs, 4), nn.BatchNorm1d(4), nn.Linear(4, outputs))
