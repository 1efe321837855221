"""Layouts in memory: they choose kernels, and the last bits, and are named for that."""

from __future__ import annotations

from pathlib import Path

import pytest
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


def embed(path: Path, sparse: bool, momentum: float = 0.0, again: bool = True) -> Path:
    """Four steps of an embedding; `again`: rows come several times in a batch."""
    torch.manual_seed(0)
    net = nn.Embedding(20, 8, sparse=sparse)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=momentum)
    with lab_parity.record(path, capture=range(4)):
        for _ in range(4):
            optimizer.zero_grad()
            rows = torch.randint(0, 20, (6, 3)) if again else torch.randperm(20)[:6]
            net(rows).square().mean().backward()
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


def test_a_sparse_gradient_is_its_values(tmp_path: Path) -> None:
    """It was another training by its layout alone."""
    verdict = lab_parity.compare(embed(tmp_path / "a", False, again=False), embed(tmp_path / "b", True, again=False))
    assert verdict.rung == "identical", verdict.first
    assert "gradients are sparse in the second run alone (weight); they were compared by value" in verdict.notes


def test_a_sparse_momentum_is_its_values(tmp_path: Path) -> None:
    """As the first step leaves it; later it holds rows several times, which its update adds up one by one."""
    a, b = embed(tmp_path / "a", False, 0.9, again=False), embed(tmp_path / "b", True, 0.9, again=False)
    first = lab_parity.compare(a, b).first
    assert first is not None
    assert (first.step, first.phase) == (1, "param")


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_last_bits_of_a_sparse_update_are_named(momentum: float, tmp_path: Path) -> None:
    """It adds up what a row comes in one by one."""
    a, b = embed(tmp_path / "a", False, momentum), embed(tmp_path / "b", True, momentum)
    first = lab_parity.compare(a, b).first
    assert first is not None
    assert first.phase in ("param", "optimizer")
    found = lab_parity.diagnose(a, b)
    assert found is not None
    assert (found.name, found.affected) == ("layout", ("weight",))
    assert "is sparse in the migrated run alone" in found.sentence


def test_a_counter_that_is_a_number_on_one_side_and_a_tensor_on_the_other_is_the_same(tmp_path: Path) -> None:
    """ "the bits differ (1.0 against 1.0)" was said of it."""
    for name, kind in (("a", float), ("b", torch.tensor)):
        torch.manual_seed(0)
        net = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name):
            for step in range(2):
                optimizer.zero_grad()
                net(torch.ones(2, 3)).sum().backward()
                optimizer.state[net.weight]["step"] = kind(float(step + 1))
                optimizer.step()
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert verdict.rung == "identical", verdict.first
    assert "step of the optimizer's state is the same number in another form" in verdict.notes


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
