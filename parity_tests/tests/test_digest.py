"""Fingerprints of tensors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lab_parity.digest import DIGEST_BYTES, digest_as_dense, digest_bytes, digest_tensor

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.int64, torch.uint8, torch.bool
]  # fmt: skip
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


def made(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Tensor:
    """A tensor of small random integers."""
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@given(shape=SHAPES, dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99))
def test_equal_tensors_have_equal_digests_however_they_lie_in_memory(
    shape: tuple[int, ...], dtype: torch.dtype, seed: int
) -> None:
    """A clone, and a non-contiguous view of the same numbers, have the digest of the original."""
    tensor = made(shape, dtype, seed)
    assert len(digest_tensor(tensor)) == DIGEST_BYTES
    assert digest_tensor(tensor.clone()) == digest_tensor(tensor)
    strided = torch.stack([tensor, tensor], dim=-1)[..., 0]
    assert digest_tensor(strided) == digest_tensor(tensor)


@given(shape=SHAPES.filter(lambda s: 0 not in s), dtype=st.sampled_from(DTYPES), data=st.data())
def test_one_flipped_element_changes_the_digest(
    shape: tuple[int, ...], dtype: torch.dtype, data: st.DataObject
) -> None:
    """Whichever element it is."""
    tensor = made(shape, dtype, 0)
    other = tensor.clone()
    place = data.draw(st.integers(0, tensor.numel() - 1))
    other.view(-1)[place] = 1 if other.view(-1)[place] == 0 else 0
    assert digest_tensor(other) != digest_tensor(tensor)


def test_what_a_plain_xor_misses_is_seen() -> None:
    """Transposition, swapped elements, shape, dtype, sign of zero, NaN payload, one ulp."""
    base = torch.arange(6.0).reshape(2, 3)
    tensors = [
        base, base.t(), base.flip(0), base.reshape(3, 2), base.double(), -base, base.reshape(6), base.to(torch.int32),
        torch.nextafter(base, torch.full_like(base, 9.0)), torch.zeros(2), -torch.zeros(2),
        torch.zeros(2, 0), torch.zeros(0, 2),
        torch.full((1,), torch.nan), torch.tensor([0x7FC00001], dtype=torch.int32).view(torch.float32),
    ]  # fmt: skip
    assert len({digest_tensor(tensor) for tensor in tensors}) == len(tensors)


def test_nan_equals_itself() -> None:
    """A digest is about bits, not about IEEE equality."""
    assert digest_tensor(torch.tensor([torch.nan])) == digest_tensor(torch.tensor([torch.nan]))


def test_lazy_views_and_sparse_tensors_are_read() -> None:
    """Conjugates, negative views, sparse COO and CSR, parameters that need a gradient."""
    z = torch.tensor([1 + 2j])
    assert digest_tensor(z.conj()) == digest_tensor(torch.tensor([1 - 2j]))
    assert digest_tensor(z.conj().imag) == digest_tensor(torch.tensor([-2.0]))
    eye = torch.eye(3)
    assert digest_tensor(eye.to_sparse()) == digest_tensor(torch.eye(3).to_sparse())
    assert digest_tensor(eye.to_sparse()) != digest_tensor((2 * eye).to_sparse())
    assert digest_tensor(torch.nn.Parameter(eye)) == digest_tensor(eye)


def test_jagged_tensors_are_read() -> None:
    """Rows of several lengths: the numbers, and where each row begins."""

    def of(*rows: list[float]) -> torch.Tensor:
        return torch.nested.nested_tensor([torch.tensor(row) for row in rows], layout=torch.jagged)

    assert digest_tensor(of([1.0, 2.0], [3.0])) == digest_tensor(of([1.0, 2.0], [3.0]))
    assert digest_tensor(of([1.0, 2.0], [3.0])) != digest_tensor(of([1.0], [2.0, 3.0]))
    assert digest_tensor(of([1.0, 2.0], [3.0])) != digest_tensor(of([1.0, 2.0], [4.0]))


def test_a_tensor_without_bytes_is_refused() -> None:
    """No digest is better than one of nothing."""
    with pytest.raises(TypeError, match="meta"):
        digest_tensor(torch.empty(2, device="meta"))


def test_bytes_and_tensors_do_not_share_digests() -> None:
    """A hyperparameter text never equals a tensor of the same bytes."""
    assert digest_bytes(b"\x00\x01") != digest_tensor(torch.tensor([0, 1], dtype=torch.uint8))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize(("shape", "entries"), [((20, 8), 5), ((7,), 30), ((50, 3, 2), 200), ((5, 4), 0), ((0, 4), 0)])
def test_a_sparse_tensor_stands_for_the_dense_one(shape: tuple[int, ...], entries: int) -> None:
    """Also where rows come several times, whose sum depends on the order."""
    rows = torch.randint(0, max(shape[0], 1), (1, entries))
    sparse = torch.sparse_coo_tensor(rows, torch.randn(entries, *shape[1:]), shape)
    assert digest_as_dense(sparse) == digest_tensor(sparse.to_dense())
    assert digest_as_dense(torch.eye(4).to_sparse()) == digest_tensor(torch.eye(4))
