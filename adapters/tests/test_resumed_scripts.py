"""Modules that are compiled by TorchScript train under Lightning, and resume with what only their C++ side has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, jit, nn

from six_steps import resumes, trained

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


class Counts(nn.Module):
    """Its own compiled code changes a number."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.out = nn.Linear(3, 1)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        self.calls += 1
        y: Tensor = self.out(self.norm(self.into(x)).relu()) * (1.0 + self.calls / 10.0)
        return y


def derived() -> Any:
    """A module of a class that compiles its methods as it is made."""

    class Derived(jit.ScriptModule):
        """With a layer that asks for its mode."""

        def __init__(self) -> None:
            super().__init__()
            self.into = nn.Linear(2, 3)
            self.drop = nn.Dropout(0.5)
            self.out = nn.Linear(3, 1)

        @jit.script_method
        def forward(self, x: Tensor) -> Tensor:
            """(B, 2) -> (B, 1)."""
            y: Tensor = self.out(self.drop(self.into(x)))
            return y

    return Derived()


@pytest.mark.parametrize("make", [lambda: jit.script(Counts()), derived], ids=["compiled", "derived"])
def test_a_scripted_module_resumes_bitwise(checkpoint: Any, make: Callable[[], Any]) -> None:
    """Its mode, which the training has changed, and the numbers that it counts itself, go on."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = make()
        steps = [0]

        def once() -> float:
            steps[0] += 1
            if steps[0] == 2:
                model.eval()
            return 1.0

        return trained(once, model, torch.optim.Adam(model.parameters(), lr=0.1))

    with pytest.warns(UserWarning, match=r"resume: model: TorchScript runs the first calls"):
        resumes(checkpoint, run)


def swish(x: Tensor) -> Tensor:
    """A function that `compiled` is made of."""
    return x * torch.sigmoid(x)


compiled: Any = swish


class Calls(nn.Module):
    """An ordinary module, whose `forward` calls a compiled function, as DiffWave's does."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        y: Tensor = self.out(compiled(x))
        return y


def test_a_function_that_is_compiled_is_said_likewise(checkpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last bits differed in a resumed run, and nothing said so."""
    monkeypatch.setitem(globals(), "compiled", jit.script(swish))

    def run() -> list[str]:
        torch.manual_seed(0)
        model = Calls()
        return trained(lambda: 1.0, model, torch.optim.Adam(model.parameters(), lr=0.1))

    with pytest.warns(UserWarning, match=r"resume: model: TorchScript runs the first calls"):
        resumes(checkpoint, run)
