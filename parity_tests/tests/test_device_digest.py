"""Fingerprints worked out on the tensor's device: as sharp as the others, whatever the device."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import lab_parity
from lab_parity.device_digest import device_digest, pending_digest, settled
from lab_parity.plant import plant
from lab_parity.trace import Step

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")),
]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """Where the tensors are."""
    return str(request.param)


def test_digests_are_those_of_every_machine(device: str) -> None:
    """Written down: a trace of one machine is compared on another."""
    assert device_digest(torch.arange(5, device=device)).hex() == "e9ab4ae9ff3a06550d81a2f3384743e9"


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int8, torch.bool, torch.complex64]
)
def test_equal_bits_have_equal_digests_whatever_their_layout(device: str, dtype: torch.dtype) -> None:
    """A transposed view equals its contiguous copy; the number of bytes need not divide by four."""
    tensor = torch.arange(35, device=device).reshape(5, 7).to(dtype)
    assert device_digest(tensor.t()) == device_digest(tensor.t().contiguous())
    assert device_digest(tensor) != device_digest(tensor.t())
    assert device_digest(tensor) != device_digest(tensor.reshape(35))


def changes(tensor: Tensor) -> dict[str, Tensor]:
    """What an exclusive or, or a sum, of all words would not see."""
    swapped, signs, zero = tensor.clone(), tensor.clone(), tensor.clone()
    swapped[[0, 1]] = tensor[[1, 0]]
    signs[[2, 3]] *= -1
    zero[4] = -0.0
    return {
        "swapped": swapped,
        "two signs": signs,
        "minus zero": zero,
        "rolled": tensor.roll(1),
        "longer": torch.cat([tensor, tensor.new_zeros(1)]),
        "other dtype": tensor.view(torch.int32),
    }


def test_what_a_plain_sum_would_miss_is_seen(device: str) -> None:
    """Swaps, paired signs, the sign of zero, order, length, dtype."""
    tensor = torch.randn(64, generator=torch.Generator().manual_seed(0)).to(device)
    tensor[4] = 0.0
    seen = {device_digest(tensor)}
    for name, other in changes(tensor).items():
        digest = device_digest(other)
        assert digest not in seen, name
        seen.add(digest)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 3000), bit=st.integers(0, 31), share=st.floats(0, 1, exclude_max=True))
def test_one_bit_anywhere_changes_about_half_of_the_digest(size: int, bit: int, share: float) -> None:
    """Any bit of any word."""
    words = torch.arange(size, dtype=torch.int32)
    other = words.clone()
    other[int(share * size)] ^= 1 << bit if bit < 31 else -(1 << 31)
    a, b = (int.from_bytes(pending_digest(tensor).halves.numpy().tobytes()) for tensor in (words, other))
    assert 30 <= (a ^ b).bit_count() <= 98


def test_pieces_are_not_interchangeable(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large tensor is read a piece at a time; two pieces that change places are a difference."""
    tensor = torch.arange(64, dtype=torch.int32, device=device)
    monkeypatch.setattr("lab_parity.device_digest._PIECE", 16)
    assert device_digest(tensor) != device_digest(torch.cat([tensor[16:32], tensor[:16], tensor[32:]]))


def test_all_of_a_step_come_in_one_transfer(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are; and in their order."""
    tensors = [torch.full((3,), float(n), device=device) for n in range(5)]
    waiting = [pending_digest(tensor) for tensor in tensors]
    transfers = []
    original = Tensor.cpu
    monkeypatch.setattr(Tensor, "cpu", lambda self: transfers.append(self.shape) or original(self))
    found = settled(waiting)
    assert transfers == [(5, 2)]
    monkeypatch.undo()
    assert found == [device_digest(tensor) for tensor in tensors]


def test_empty_tensors_differ_by_shape_and_dtype(device: str) -> None:
    """There is nothing to mix."""
    shapes = [torch.empty(0, device=device), torch.empty(0, 2, device=device), torch.empty(0, device=device).int()]
    assert len({device_digest(tensor) for tensor in shapes}) == 3


Train = Callable[..., Any]


def test_a_run_is_recorded_by_its_devices_digests(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the CPU's tensors are taken for an accelerator's: a rerun is identical, a planted fault found and named."""
    with lab_parity.record(tmp_path / "cpu"):
        train()
    monkeypatch.setattr(sys.modules["lab_parity.record.fingerprint"], "_on_cpu", lambda tensor: False)
    for name, fault in (("a", None), ("b", None), ("c", "lr")):
        with plant(fault, 1) if fault else nullcontext(), lab_parity.record(tmp_path / name, capture=[0, 1]):
            train()
    steps = [item for item in lab_parity.read(tmp_path / "a").steps() if isinstance(item, Step)]
    losses = [value for key, value in zip(steps[0].keys, steps[0].values, strict=True) if key.phase == "loss"]
    plain = next(item for item in lab_parity.read(tmp_path / "cpu").steps() if isinstance(item, Step))
    assert losses == [value for key, value in zip(plain.keys, plain.values, strict=True) if key.phase == "loss"]
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "c")
    assert cause is not None
    assert cause.name == "lr"
    mixed = lab_parity.compare(tmp_path / "cpu", tmp_path / "a")
    assert (mixed.rung, mixed.first) == ("inconclusive", None)
    assert "one kind of device" in mixed.reasons[0]
