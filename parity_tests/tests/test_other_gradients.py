"""Gradients that are others though the losses agree, or are made others on their way to the update."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import lab_parity

Loss = Callable[[nn.Sequential, Tensor], Tensor]
Use = Callable[[nn.Sequential, torch.optim.Optimizer, torch.amp.GradScaler], None]


def plain(net: nn.Sequential, x: Tensor) -> Tensor:
    """Of both layers."""
    return (net[1](net[0](x)) + net[0](x)).square().mean()


def detached(net: nn.Sequential, x: Tensor) -> Tensor:
    """The same number; its gradient does not go through the first layer twice."""
    return (net[1](net[0](x)) + net[0](x).detach()).square().mean()


def steep(net: nn.Sequential, x: Tensor) -> Tensor:
    """Of next to no value, and large gradients."""
    made = net(x).mean()
    return 0.1 * made.square() + 1e4 * (made - made.detach())


def clip_late(net: nn.Sequential, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
    """As torch's documentation has it."""
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimizer)


def clip_early(net: nn.Sequential, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
    """The loss scale is still in them."""
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimizer)


def cause(tmp_path: Path, loss: tuple[Loss, Loss] = (plain, plain), use: tuple[Use, Use] = (clip_late, clip_late),
          scale: tuple[float, float] = (1024.0, 1024.0), size: float = 1.0) -> lab_parity.Cause:  # fmt: skip
    """Of two trainings with a scaler."""
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, its_loss, its_use, its_scale in zip(paths, loss, use, scale, strict=True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=its_scale, backoff_factor=2.0**-20)
        with lab_parity.record(path, capture=range(2)):
            for _ in range(4):
                optimizer.zero_grad()
                scaler.scale(its_loss(net, torch.randn(6, 4) * size)).backward()
                its_use(net, optimizer, scaler)
                scaler.update()
    found = lab_parity.diagnose(*paths)
    assert found is not None
    return found


def test_a_detach_is_a_backward_pass_of_another_way(tmp_path: Path) -> None:
    """It was unknown: all that the modules say, and the loss, agree."""
    found = cause(tmp_path, loss=(plain, detached))
    assert (found.name, found.affected) == ("backward", ("0.weight", "0.bias"))
    assert "those of 2 of 4 parameters (1.weight, 1.bias) do" in found.sentence


def test_gradients_that_are_clipped_with_the_scale_in_them_are_not_called_rounded(tmp_path: Path) -> None:
    """Where the other side does not reach the threshold, the norms that both calls found tell."""
    found = cause(tmp_path, use=(clip_late, clip_early), size=0.3)
    assert (found.name, found.size) == ("clip", 1024.0)
    assert "before the loss scale is taken out" in found.sentence


def test_a_first_scale_that_overflows_is_a_scale(tmp_path: Path) -> None:
    """The steps that it skips were called accumulation."""
    found = cause(tmp_path, loss=(steep, steep), scale=(1024.0, 2.0**127))
    assert (found.name, found.size) == ("scale", 2.0**117)


def test_a_scale_that_the_update_undoes_leaves_the_same_bits(tmp_path: Path) -> None:
    """Which is said."""
    found = cause(tmp_path, scale=(1024.0, 2048.0))
    assert (found.name, found.size) == ("scale", 2.0)
    assert "the update sees the same ones, bit by bit: a loss scale that is undone" in found.sentence
