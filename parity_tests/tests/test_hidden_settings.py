"""Settings that no parameter group and no module's printed form tells: numbers in attributes, and none at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import lab_parity


class Codebook(nn.Module):
    """A running average in a buffer, by a decay that the module holds."""

    def __init__(self, decay: float = 0.9) -> None:
        super().__init__()
        self.decay = decay
        self.calls = 0
        self.layer = nn.Linear(3, 4)
        self.usage: Tensor
        self.register_buffer("usage", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3) -> (B, 4)."""
        self.calls += 1
        made: Tensor = self.layer(x)
        with torch.no_grad():
            self.usage.mul_(self.decay).add_(made.mean(0), alpha=1 - self.decay)
        return made


class Sharpened(nn.Module):
    """A temperature, and a number that changes nothing."""

    def __init__(self, temperature: float = 1.0, log_every: int = 10) -> None:
        super().__init__()
        self.temperature, self.log_every = temperature, log_every
        self.layer = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3) -> (B, 4)."""
        return (self.layer(x) / self.temperature).softmax(1)


class Lion(torch.optim.Optimizer):
    """Keeps its settings to itself."""

    def __init__(self, params: Any, beta1: float = 0.9, beta2: float = 0.97, log_every: int = 10) -> None:
        super().__init__(params, {})
        self.beta1, self.beta2, self.log_every = beta1, beta2, log_every

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Its own rule."""
        for p in self.param_groups[0]["params"]:
            m = self.state[p].setdefault("m", torch.zeros_like(p))
            p.add_((self.beta1 * m + (1 - self.beta1) * p.grad).sign(), alpha=-0.01)
            m.mul_(self.beta2).add_(p.grad, alpha=1 - self.beta2)


def train(path: Path, net: Callable[[], nn.Module], optimizer: Callable[..., Any] = torch.optim.SGD) -> Path:
    """Three steps, with all of their tensors."""
    torch.manual_seed(0)
    made = net()
    stepping = (
        optimizer(made.parameters()) if optimizer is not torch.optim.SGD else optimizer(made.parameters(), lr=0.1)
    )
    with lab_parity.record(path, capture=range(3)):
        for _ in range(3):
            made.zero_grad()
            made(torch.randn(8, 3)).square().sum().backward()
            stepping.step()
    return path


def cause(tmp_path: Path, legacy: tuple[Any, ...], migrated: tuple[Any, ...]) -> lab_parity.Cause:
    """Of two such trainings."""
    found = lab_parity.diagnose(train(tmp_path / "a", *legacy), train(tmp_path / "b", *migrated))
    assert found is not None
    return found


def test_the_decay_that_a_module_holds_is_read(tmp_path: Path) -> None:
    """A count of calls, which both hold alike when the step begins, is none of it."""
    found = cause(tmp_path, (Codebook,), (lambda: Codebook(0.5),))
    assert (found.name, found.setting, found.size) == ("module", "decay", 0.5)
    assert "decay is 0.5 instead of 0.9" in found.sentence


def test_a_decay_that_nobody_holds_is_fitted_on_what_comes_new(tmp_path: Path) -> None:
    """1 - 0.5 in place of 1 - 0.9 adds five times as much."""

    class Constant(Codebook):
        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.layer(x)
            with torch.no_grad():
                self.usage.mul_(0.5).add_(made.mean(0), alpha=0.5)
            return made

    Constant.__name__ = Constant.__qualname__ = "Codebook"
    found = cause(tmp_path, (Codebook,), (Constant,))
    assert (found.name, found.affected) == ("buffer", ("usage",))
    assert found.size is not None
    assert abs(found.size - 5) < 1e-4


def test_a_temperature_that_a_module_holds_is_read(tmp_path: Path) -> None:
    """In place of the module alone whose output differs."""
    found = cause(tmp_path, (Sharpened,), (lambda: Sharpened(2.0),))
    assert (found.name, found.setting) == ("module", "temperature")


def test_what_an_optimizer_keeps_to_itself_is_read(tmp_path: Path) -> None:
    """On the first step nothing is old, and the second shows it in the parameters."""
    net = lambda: nn.Linear(3, 4)  # noqa: E731
    found = cause(tmp_path, (net, Lion), (net, lambda params: Lion(params, beta1=0.5)))
    assert (found.name, found.setting, found.size) == ("betas", "beta1", 0.5)


def test_a_fit_goes_before_what_is_held(tmp_path: Path) -> None:
    """An attribute need not act on anything; the state does."""
    net = lambda: nn.Linear(3, 4)  # noqa: E731
    found = cause(tmp_path, (net, Lion), (net, lambda params: Lion(params, beta2=0.5, log_every=1)))
    assert found.name in ("betas", "momentum_form")


def test_what_is_held_makes_no_difference_by_itself(tmp_path: Path) -> None:
    """Verdicts rest on tensors and on what parameter groups tell."""
    a, b = train(tmp_path / "a", Sharpened), train(tmp_path / "b", lambda: Sharpened(log_every=1))
    assert lab_parity.compare(a, b).rung == "identical"


def test_a_number_of_an_optimizers_own_name_is_a_setting(tmp_path: Path) -> None:
    """What no other cause is called by."""
    net = lambda: nn.Linear(3, 4)  # noqa: E731

    class Named(Lion):
        def __init__(self, params: Any, sharpness: float = 0.9) -> None:
            super().__init__(params, beta1=0.9)
            self.sharpness = sharpness

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            for p in self.param_groups[0]["params"]:
                p.add_(p.grad.sign() * p.grad.abs() ** self.sharpness, alpha=-0.01)

    found = cause(tmp_path, (net, Named), (net, lambda params: Named(params, sharpness=0.5)))
    assert (found.name, found.setting, found.size) == ("setting", "sharpness", 0.5)
