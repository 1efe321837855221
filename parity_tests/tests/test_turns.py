"""Several optimizers, of which another one begins on the other side."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import lab_parity


def two_parts(path: Path, *, names: str = "alike", swapped: bool = False, wrong: bool = False) -> Path:
    """An encoder and a decoder with an optimizer each, and one loss; recorded."""
    torch.manual_seed(0)
    enc = nn.Sequential(nn.Linear(3, 2))
    dec = nn.Sequential(nn.Linear(2, 3)) if names == "alike" else nn.Linear(2, 3)
    if wrong:
        nn.init.zeros_(enc[0].bias)
    optimizers = [torch.optim.Adam(enc.parameters()), torch.optim.SGD(dec.parameters(), lr=0.1)]
    with lab_parity.record(path):
        for _ in range(3):
            x = torch.randn(4, 3)
            for optimizer in optimizers:
                optimizer.zero_grad()
            (dec(enc(x)) - x).square().mean().backward()
            for optimizer in reversed(optimizers) if swapped else optimizers:
                optimizer.step()
    return path


@pytest.mark.parametrize("names", ["alike", "apart"])
def test_another_order_of_optimizers_is_no_other_start(tmp_path: Path, names: str) -> None:
    """It is said to be what it is, and never a pass: their numbers are of no use then."""
    pair = two_parts(tmp_path / "a", names=names), two_parts(tmp_path / "b", names=names, swapped=True)
    verdict = lab_parity.compare(*pair)
    assert (verdict.rung, verdict.first) == ("inconclusive", None)
    assert "opt0, opt1 of the first run have the initial weights of opt1, opt0 of the second" in verdict.reasons[0]


def test_other_weights_are_a_difference_in_whatever_order(tmp_path: Path) -> None:
    """The order is told by the weights."""
    for swapped in (False, True):
        pair = two_parts(tmp_path / f"a{swapped}"), two_parts(tmp_path / f"b{swapped}", swapped=swapped, wrong=True)
        verdict = lab_parity.compare(*pair)
        assert verdict.first is not None
        assert (verdict.rung, verdict.first.phase) == ("diverged", "config")
