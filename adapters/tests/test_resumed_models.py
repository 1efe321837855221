"""Every model gets its own state back, however the models hold each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from six_steps import resumes, trained


class Inside(torch.nn.Module):
    """Calls its parts through a function, which comes before they are registered (as minGPT's blocks do)."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleDict({"into": torch.nn.Linear(2, 3), "out": torch.nn.Linear(3, 1)})
        parts: Any = self.parts
        self.run = lambda x: parts.out(parts.into(x).relu())

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        y: Tensor = self.run(x)
        return y


class Beside(torch.nn.Module):
    """Holds another network in a list, where torch does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.mine = torch.nn.Linear(2, 3)
        self.others = [torch.nn.Linear(3, 1)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        y: Tensor = self.others[0](self.mine(x))
        return y


@pytest.mark.parametrize("kind", [Inside, Beside])
def test_a_model_within_a_model_resumes_bitwise(checkpoint: Any, kind: Callable[[], torch.nn.Module]) -> None:
    """Parts that a function leads to are the model's own; a network that it only holds is one by itself."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model: Any = kind()
        held = [one for other in getattr(model, "others", ()) for one in other.parameters()]
        return trained(lambda: 1.0, model, torch.optim.Adam([*model.parameters(), *held], lr=0.1))

    resumes(checkpoint, run)
