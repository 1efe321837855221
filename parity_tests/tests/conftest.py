"""A small training that every test of the recorder can vary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lab_parity

Train = Callable[..., dict[str, Tensor]]


class Net(nn.Module):
    """Norm, dropout and a tied weight's worth of trouble in 200 numbers: (B, 4) -> (B, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.2))
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 4) -> (B, 2)."""
        y: Tensor = self.head(self.body(x))
        return y


class Shell(nn.Module):
    """Holds the model under another name, as a framework's module does."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"model": model})


@pytest.fixture
def train() -> Train:
    """`train(...)` runs a plain loop and returns the final state dict."""

    def run(
        steps: int = 3,
        *,
        lr: float = 0.01,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        micro: int = 2,
        seed: int = 0,
        shell: bool = False,
        evaluate: str = "",
        closure: bool = False,
        wrap: Callable[[nn.Module], nn.Module] = lambda model: model,
        stop_at: int | None = None,
        on_step: Callable[[int], None] = lambda step: None,
    ) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        model = Net()
        called = wrap(model)
        outer: Any = Shell(called) if shell else None
        stepper = optimizer(model.parameters(), lr=lr)
        data = torch.Generator().manual_seed(5)
        for step in range(steps):
            if step == stop_at:
                raise RuntimeError("the disk is full")

            def gradients() -> Tensor:
                stepper.zero_grad()
                for _ in range(micro):
                    loss = called(torch.randn(8, 4, generator=data)).square().mean() / micro
                    loss.backward()
                return loss

            if evaluate == "no_grad":
                with torch.no_grad():
                    model.eval()(torch.ones(3, 4))
            elif evaluate == "with graph":
                model.eval()(torch.ones(3, 4))
            model.train()
            if closure:
                stepper.step(gradients)  # type: ignore[arg-type]
            else:
                gradients()
                stepper.step()
            on_step(step)
        del outer
        return {name: value.clone() for name, value in model.state_dict().items()}

    return run


@pytest.fixture
def recorded(train: Train, tmp_path: Path) -> Callable[..., Path]:
    """`recorded(...)` trains as `train` does and returns the trace's path."""

    def run(name: str, **settings: Any) -> Path:
        path = tmp_path / f"{name}.trace"
        with lab_parity.record(path):
            train(**settings)
        return path

    return run
