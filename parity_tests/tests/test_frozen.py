"""A parameter that does not move on one side: left out by the update, or moved by less than its numbers can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import lab_parity

#: Half a unit in the last place of 1.0, upwards: what is added to it and smaller is lost.
HALF = 2.0**-24


class LeavesOut(torch.optim.SGD):
    """Its update leaves the largest parameter as it is."""

    def step(self, closure: Any = None) -> Any:
        """As SGD, of the others."""
        largest = max(self.param_groups[0]["params"], key=Tensor.numel)
        kept = largest.detach().clone()
        super().step(closure)
        with torch.no_grad():
            largest.copy_(kept)


def train(lr: float = 0.1, optimizer: type[torch.optim.SGD] = torch.optim.SGD) -> None:
    """Two steps of one parameter that moves, and of one whose update is 0.9997 halves of its last place."""
    torch.manual_seed(0)
    model = nn.ParameterDict({"moves": torch.zeros(3), "hardly": torch.ones(())})
    stepper = optimizer(model.parameters(), lr=lr)
    for _ in range(2):
        stepper.zero_grad()
        loss = (model["moves"] * torch.randn(3)).sum() - model["hardly"] * (0.9997 * HALF / 0.1)
        loss.backward()
        stepper.step()


def diagnosed(folder: Path, **migrated: Any) -> lab_parity.Cause:
    """Of the plain training and another one."""
    with lab_parity.record(folder / "a", capture=range(2)):
        train()
    with lab_parity.record(folder / "b", capture=range(2)):
        train(**migrated)
    cause = lab_parity.diagnose(folder / "a", folder / "b")
    assert cause is not None
    return cause


def test_a_parameter_that_another_rate_moves_by_one_rounding_is_not_frozen(tmp_path: Path) -> None:
    """As a bias in front of batch norm, whose gradient is noise: the rate is the cause, on any machine."""
    cause = diagnosed(tmp_path, lr=0.1001)
    assert (cause.name, round(cause.size or 0, 6)) == ("lr", 1.001)


def test_what_the_update_leaves_out_is_frozen(tmp_path: Path) -> None:
    """By its name, and nothing else."""
    cause = diagnosed(tmp_path, optimizer=LeavesOut)
    assert (cause.name, cause.affected) == ("frozen", ("moves",))
