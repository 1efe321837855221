"""Layouts in memory: they choose kernels, and the last bits, and are named for that."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

import lab_parity


def convolve(path: Path, memory_format: torch.memory_format, factor: float = 1.0) -> Path:
    """Two steps of a small net with a batch norm, whose sums go another way in another layout."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3))
    net = net.to(memory_format=memory_format)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(2), operations=0):
        for _ in range(2):
            optimizer.zero_grad()
            made: Tensor = net(torch.randn(8, 3, 16, 16).to(memory_format=memory_format) * factor)
            made.square().mean().backward()
            optimizer.step()
    return path


def embed(path: Path, sparse: bool) -> Path:
    """Two steps of an embedding."""
    torch.manual_seed(0)
    net = nn.Embedding(20, 8, sparse=sparse)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(2)):
        for _ in range(2):
            optimizer.zero_grad()
            net(torch.randint(0, 20, (6, 3))).square().mean().backward()
            optimizer.step()
    return path


def test_channels_last_is_named_where_the_last_bits_differ(tmp_path: Path) -> None:
    """It was the module whose output differs first, behind the one that lies otherwise."""
    a, b = convolve(tmp_path / "a", torch.contiguous_format), convolve(tmp_path / "b", torch.channels_last)
    verdict = lab_parity.compare(a, b)
    if verdict.rung == "identical":
        return  # kernels of this machine sum alike
    found = lab_parity.diagnose(a, b)
    assert found is not None
    assert (found.name, found.confidence) == ("layout", "read")
    assert "lies in memory as channels_last in the migrated run, in the usual order in the legacy one" in found.sentence


def test_a_sparse_gradient_is_named(tmp_path: Path) -> None:
    """As numbers it is the same, which is said."""
    found = lab_parity.diagnose(embed(tmp_path / "a", False), embed(tmp_path / "b", True))
    assert found is not None
    assert found.name == "layout"
    assert "is sparse in the migrated run alone; as numbers they are the same, bit by bit" in found.sentence


def test_the_kernel_that_updates_is_named(tmp_path: Path) -> None:
    """No setting that acts on numbers: fused updates round otherwise."""
    for name, fused in (("a", False), ("b", True)):
        torch.manual_seed(0)
        net = nn.Linear(40, 40)
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, fused=fused)
        with lab_parity.record(tmp_path / name, capture=range(3)):
            for _ in range(3):
                optimizer.zero_grad()
                net(torch.randn(5, 40)).square().mean().backward()
                optimizer.step()
    if lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical":
        return  # kernels of this machine round alike
    found = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert found is not None
    assert (found.name, found.setting) in {("setting", "fused"), ("rounding", found.setting)}
