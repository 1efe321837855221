"""Steps whose gradients are the same, and whose backward passes are not: the gradients decide."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn.functional import mse_loss

import lab_parity


def meta(path: Path, *, transform: bool = False, tasks: float = 2.0, steps: int = 3) -> Path:
    """A meta-learner with an inner step of each task, by `torch.func` or by `torch.autograd.grad`; recorded."""
    torch.manual_seed(0)
    net = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def loss_of(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return mse_loss(functional_call(net, weights, (x,)), 2 * x)

    with lab_parity.record(path, capture=range(steps)):
        for _ in range(steps):
            losses = []
            for _ in range(2):
                x, weights = torch.randn(4, 1), dict(net.named_parameters())
                if transform:
                    inner = grad(loss_of)(weights, x)
                else:
                    listed = torch.autograd.grad(loss_of(weights, x), list(weights.values()), create_graph=True)
                    inner = dict(zip(weights, listed, strict=True))
                losses.append(loss_of({name: weights[name] - 0.1 * inner[name] for name in weights}, x))
            optimizer.zero_grad()
            (sum(losses, torch.zeros(())) / tasks).backward()
            optimizer.step()
    return path


def two_losses(path: Path, *, together: bool, factor: float = 1.0) -> Path:
    """Two networks in one optimizer, each with a loss of its own; recorded."""
    torch.manual_seed(0)
    nets = nn.ModuleList([nn.Linear(2, 1), nn.Linear(2, 1)])
    optimizer = torch.optim.SGD(nets.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(3)):
        for _ in range(3):
            optimizer.zero_grad()
            losses = [net(torch.randn(4, 2)).square().mean() for net in nets]
            losses[1] = factor * losses[1]
            if together:
                (losses[0] + losses[1]).backward()
            else:
                losses[0].backward()
                losses[1].backward()
            optimizer.step()
    return path


def test_inner_steps_by_a_transform_are_those_by_gradients(tmp_path: Path) -> None:
    """`torch.func` makes no backward pass that is seen; what the outer one leaves is the same."""
    verdict = lab_parity.compare(meta(tmp_path / "a"), meta(tmp_path / "b", transform=True))
    assert (verdict.rung, verdict.reasons, verdict.coverage.steps) == ("identical", (), 3)
    assert any("3 backward passes in step 0 against 1" in note for note in verdict.notes)


def test_a_wrong_loss_in_other_passes_is_found_and_not_called_an_accumulation(tmp_path: Path) -> None:
    """The passes that `torch.autograd.grad` makes add to no gradient."""
    pair = meta(tmp_path / "a"), meta(tmp_path / "b", transform=True, tasks=3.0)
    cause = lab_parity.diagnose(*pair)
    assert lab_parity.compare(*pair).rung == "diverged"
    assert cause is not None
    assert cause.name != "accumulation"


def test_losses_that_share_nothing_may_be_added_up_first(tmp_path: Path) -> None:
    """To the same gradients; with another weight of one of them they are others."""
    verdict = lab_parity.compare(two_losses(tmp_path / "a", together=False), two_losses(tmp_path / "b", together=True))
    assert (verdict.rung, verdict.reasons) == ("identical", ())
    wrong = lab_parity.compare(tmp_path / "a", two_losses(tmp_path / "c", together=True, factor=1.001))
    assert wrong.rung == "diverged"
