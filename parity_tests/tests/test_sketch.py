"""Summaries: exact where they can be, close where they must be, alike for every layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lab_parity.sketch import BUCKETS, Summarizer, distance, size


def estimate(a: Tensor, b: Tensor) -> float:
    """The distance of two tensors as their summaries have it."""
    summarize = Summarizer()
    return float(distance(summarize(a), summarize(b)))


def test_statistics_are_those_of_the_tensor() -> None:
    """Norm, mean, smallest, largest; also in bf16, for integers and without contiguity."""
    for tensor in (torch.randn(7, 50), torch.randn(40, 9).bfloat16().t(), torch.arange(5), torch.tensor([True, False])):
        numbers = Summarizer()(tensor)
        x = tensor.double()
        assert numbers[:4] == pytest.approx([x.norm().item(), x.mean().item(), x.min().item(), x.max().item()])


@pytest.mark.parametrize(
    "tensor", [torch.empty(0, 3), torch.tensor(2.0), torch.tensor([1 + 2j]), torch.eye(3).to_sparse()]
)
def test_odd_tensors_have_a_summary(tensor: Tensor) -> None:
    """Empty, 0-d, complex, sparse."""
    numbers = Summarizer()(tensor)
    assert numbers.shape == (4 + BUCKETS,)
    assert numbers[0] == pytest.approx(float(torch.linalg.vector_norm(tensor.to_dense())))


@given(st.integers(1, BUCKETS), st.integers(0, 1000))
def test_the_distance_of_small_tensors_is_exact(count: int, seed: int) -> None:
    """Up to one element a bucket."""
    draw = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(count, generator=draw, dtype=torch.float64) for _ in "ab")
    assert estimate(a, b) == pytest.approx(float((a - b).norm()))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 1e-3,
        lambda x: x * 1.001,
        lambda x: torch.cat([x[:, :1] + 1, x[:, 1:]], 1),
        lambda x: torch.cat([x[:1] + 1, x[1:]]),
        lambda x: x + 1e-3 * torch.sin(torch.arange(x.numel(), dtype=x.dtype).view_as(x)),
    ],
    ids=["shifted", "scaled", "one column", "one row", "wave"],
)
@pytest.mark.parametrize("shape", [(64, 256), (100, 62), (31, 310)])
def test_a_structured_difference_is_estimated_within_a_factor_of_two(change: object, shape: tuple[int, int]) -> None:
    """sqrt(2/31) is 25 % of the squared distance; a factor of 4 in it lies far outside. Not gathered in one bucket."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = change(x)  # type: ignore[operator]
    true = float((x - y).norm())
    assert true / 2 < estimate(x, y) < true * 2


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_one_bit_of_one_element_shows(seed: int) -> None:
    """One ulp of one of 200,000 float32 elements is found to 1 %, although it is 1e-10 of the norm."""
    x = torch.randn(200_000, generator=torch.Generator().manual_seed(seed % 7))
    y = x.clone()
    place = seed % len(x)
    y[place] = torch.nextafter(y[place], torch.tensor(9.0))
    assert estimate(x, y) == pytest.approx(float((x.double() - y.double()).abs().max()), rel=0.01)


def test_the_estimate_is_unbiased() -> None:
    """Over 400 random differences the mean squared estimate is within 4 standard errors of the truth."""
    draw = torch.Generator().manual_seed(1)
    ratios = []
    for _ in range(400):
        x, y = (torch.randn(1000, generator=draw) for _ in "ab")
        ratios.append((estimate(x, y) / float((x.double() - y.double()).norm())) ** 2)
    assert abs(np.mean(ratios) - 1) < 4 * np.sqrt(2 / BUCKETS / len(ratios))
    assert np.std(ratios) < 1.3 * np.sqrt(2 / BUCKETS)


def test_sizes_are_read_from_tables() -> None:
    """(steps, rows, 4 + k) in, (steps, rows) out."""
    table = np.stack([[Summarizer()(torch.full((4,), 2.0))] * 3] * 2)
    assert size(table).shape == (2, 3)
    assert (size(table) == 4).all()
    assert (distance(table, table) == 0).all()
