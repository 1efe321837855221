"""Fingerprints of tensors that live on an accelerator, worked out there: only 16 bytes a tensor travel, once a step.

xxh3 reads its input in order, which no accelerator does fast. Here every 32-bit word is mixed with a number of its
place, through the finaliser of splitmix64 (Steele, Lea and Flood 2014), in two ways; the sums over all words, modulo
2^64, are the two halves. Dtype, shape and length come in at the end, with xxh3. Words are taken a piece at a time, and
the sum of a piece is mixed with the piece's number in the same way, so that the memory needed is constant. A chance
collision has probability about 2^-128; the numbers are not those of `digest_tensor`.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from lab_parity.digest import digest_bytes, plain_of

__all__ = ["Pending", "device_digest", "pending_digest", "settled"]

_PIECE = 1 << 22
_WAYS = (
    (-0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15),
    (-0x3D4D51C2D82B14B1, -0x00AE502812AA7333, -0x3B314601E57A13AD),
)
"""Odd numbers: splitmix64's and, for the second half, Stafford's mix 4 and MurmurHash3's, as signed 64-bit integers."""


@attrs.frozen(slots=True, eq=False)
class Pending:
    """A fingerprint that is still on its device: (2,) int64, and what else belongs to it."""

    halves: Tensor
    about: bytes

    def of(self, halves: bytes) -> bytes:
        """The fingerprint, once its halves have come: 16 bytes in, 16 bytes out."""
        return digest_bytes(self.about + halves)


def pending_digest(tensor: Tensor) -> Pending:
    """Start the fingerprint of a dense tensor of any dtype and shape on the device where it is; nothing waits for it.

    Raises TypeError for a tensor without bytes of its own.
    """
    tensor = plain_of(tensor)
    about = f"{tensor.dtype}{tuple(tensor.shape)}{tensor.nbytes}".encode()
    words = _words(tensor)
    total = torch.zeros(2, dtype=torch.int64, device=words.device)
    for number, start in enumerate(range(0, words.numel(), _PIECE)):
        piece = words[start : start + _PIECE].to(torch.int64)
        places = torch.arange(piece.numel(), dtype=torch.int64, device=piece.device)
        sums = torch.stack([_mixed(piece, places, way).sum() for way in _WAYS])
        total += torch.stack([_mixed(sums[n], torch.full_like(sums[n], number), way) for n, way in enumerate(_WAYS)])
    return Pending(total, about)


def settled(waiting: Sequence[Pending]) -> list[bytes]:
    """The fingerprints themselves: one transfer from each device."""
    found: dict[int, bytes] = {}
    for device in dict.fromkeys(one.halves.device for one in waiting):
        places = [place for place, one in enumerate(waiting) if one.halves.device == device]
        table = torch.stack([waiting[place].halves for place in places]).cpu().numpy()
        found |= {place: waiting[place].of(row.tobytes()) for place, row in zip(places, table, strict=True)}
    return [found[place] for place in range(len(waiting))]


def device_digest(tensor: Tensor) -> bytes:
    """The fingerprint, waited for; also of a tensor on the CPU."""
    return settled([pending_digest(tensor)])[0]


def _words(tensor: Tensor) -> Tensor:
    """(n,) int32: the tensor's bytes in the order of its elements, filled up with zeros."""
    data = tensor.resolve_conj().resolve_neg().contiguous().view(-1)
    if not data.numel():
        return data.new_empty(0, dtype=torch.int32)
    data = data.view(torch.uint8)
    if data.numel() % 4:
        data = torch.nn.functional.pad(data, (0, -data.numel() % 4))
    return data.view(torch.int32)


def _mixed(words: Tensor, places: Tensor, way: tuple[int, int, int]) -> Tensor:
    step, first, second = way
    mixed = (words + (places + 1) * step) * first
    mixed = (mixed ^ ((mixed >> 30) & ((1 << 34) - 1))) * second
    mixed = (mixed ^ ((mixed >> 27) & ((1 << 37) - 1))) * first
    return mixed ^ ((mixed >> 31) & ((1 << 33) - 1))
