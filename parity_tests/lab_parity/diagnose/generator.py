"""Distances between two states of a generator: how many numbers one has drawn more."""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt
from torch import Tensor

__all__ = ["Mersenne", "Philox", "decode", "words_between"]

_BLOCK = 624
_TORCH_BYTES = 5056
_MOST = 16 * 1024 * 1024


@attrs.frozen(slots=True, eq=False)
class Mersenne:
    """A Mersenne Twister (Matsumoto and Nishimura 1998): 624 words, how many are used, and the seed where known."""

    words: npt.NDArray[np.uint32]
    position: int
    seed: int | None = None


@attrs.frozen(slots=True)
class Philox:
    """A counter-based generator, as on CUDA devices."""

    seed: int
    offset: int


def decode(state: Tensor) -> Mersenne | Philox | None:
    """A captured state; None for one of a layout that is not known.

    torch's CPU state is at::CPUGeneratorImplStateLegacy: seed (8 bytes), left and seeded (4 each), next (8), 624 words
    of 8 bytes, then the cached normal. A CUDA state is seed and offset, 8 bytes each.
    """
    raw = state.numpy()
    if raw.dtype == np.uint8 and raw.size == _TORCH_BYTES:
        seed = int(raw[:8].view(np.uint64)[0])
        left = int(raw[8:12].view(np.int32)[0])
        words = raw[24 : 24 + 8 * _BLOCK].view(np.uint64).astype(np.uint32)
        return Mersenne(words, _BLOCK + 1 - left, seed)
    if raw.dtype == np.uint8 and raw.size == 16:
        seed, offset = (int(value) for value in raw.view(np.uint64))
        return Philox(seed, offset)
    if raw.dtype == np.int64 and raw.size == _BLOCK + 1:
        return Mersenne(raw[:-1].astype(np.uint32), int(raw[-1]))
    return None


def words_between(a: Mersenne | Philox, b: Mersenne | Philox, most: int = _MOST) -> int | None:
    """How many 32-bit words `b` has drawn more than `a` (negative: fewer); None where neither leads to the other."""
    if isinstance(a, Philox) or isinstance(b, Philox):
        if isinstance(a, Philox) and isinstance(b, Philox) and a.seed == b.seed:
            return b.offset - a.offset
        return None
    blocks = most // _BLOCK
    # Whichever is ahead, few draws are found fast: search both ways with growing patience.
    for limit in (8, blocks):
        ahead = _blocks(a, b, limit)
        if ahead is not None and (ahead or b.position >= a.position):
            return ahead * _BLOCK + b.position - a.position
        behind = _blocks(b, a, limit)
        if behind is not None:
            return -(behind * _BLOCK + a.position - b.position)
    return None


def _blocks(a: Mersenne, b: Mersenne, limit: int) -> int | None:
    if np.array_equal(a.words, b.words):
        return 0
    copy = np.random.RandomState()
    copy.set_state(("MT19937", a.words, _BLOCK, 0, 0.0))
    for block in range(1, limit + 1):
        copy.bytes(4 * _BLOCK)
        state = copy.get_state(legacy=False)["state"]["key"]
        if state[0] == b.words[0] and np.array_equal(state, b.words):
            return block
    return None
