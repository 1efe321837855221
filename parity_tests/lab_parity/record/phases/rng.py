"""Generator states: torch's (the CPU's and every CUDA device's), numpy's and Python's global generators.

torch starts from a fixed seed, numpy and Python from the clock. As long as the program has not seeded one of the
latter two since the recording began, its state means nothing; how many words were drawn from it is recorded
instead, under the field `UNSEEDED`.
"""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import torch

from lab_parity.digest import digest_bytes, digest_tensor
from lab_parity.trace import Key, Row

__all__ = ["UNSEEDED", "Generators"]

UNSEEDED = "words drawn, never seeded"

_BLOCK = 624
"""Words of a Mersenne Twister's state; it makes as many at a time (Matsumoto and Nishimura 1998)."""
_MAX_BLOCKS = 64
"""A state that this many blocks do not lead to was set by a seed."""


class Generators:
    """Reads the states of the global generators; draws from none of them."""

    def __init__(self) -> None:
        self._python = _Twister(*_python_state())
        self._numpy = _Twister(*_numpy_state())

    def rows(self, micro: int) -> list[Row]:
        """One row per generator."""
        states = {"torch": digest_tensor(torch.get_rng_state())}
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            for number, state in enumerate(torch.cuda.get_rng_state_all()):
                states[f"cuda:{number}"] = digest_tensor(state)
        rows = [Row(Key("rng", micro, name, "state"), digest) for name, digest in states.items()]
        for name, twister, (words, position) in (
            ("python", self._python, _python_state()),
            ("numpy", self._numpy, _numpy_state()),
        ):
            drawn = twister.drawn(words, position)
            if drawn is None:
                rows.append(Row(Key("rng", micro, name, "state"), digest_bytes(words.tobytes() + b"%d" % position)))
            else:
                rows.append(Row(Key("rng", micro, name, UNSEEDED), digest_bytes(b"%d" % drawn), drawn))
        return rows


class _Twister:
    """A Mersenne Twister that is followed from a first state until somebody seeds it."""

    def __init__(self, words: npt.NDArray[np.uint32], position: int) -> None:
        self._words, self._position = words, position
        self._drawn = 0
        self._seeded = False

    def drawn(self, words: npt.NDArray[np.uint32], position: int) -> int | None:
        """Words drawn since the first state, or None once somebody has seeded it."""
        if self._seeded:
            return None
        blocks = self._blocks_to(words)
        if blocks is None or (blocks == 0 and position < self._position):
            self._seeded = True
            return None
        self._drawn += blocks * _BLOCK + position - self._position
        self._words, self._position = words, position
        return self._drawn

    def _blocks_to(self, words: npt.NDArray[np.uint32]) -> int | None:
        if np.array_equal(words, self._words):
            return 0
        copy = np.random.RandomState()
        copy.set_state(("MT19937", self._words, self._position, 0, 0.0))
        for block in range(1, _MAX_BLOCKS + 1):
            copy.bytes(4 * _BLOCK)
            if np.array_equal(copy.get_state(legacy=False)["state"]["key"], words):
                return block
        return None


def _python_state() -> tuple[npt.NDArray[np.uint32], int]:
    *words, position = random.getstate()[1]
    return np.array(words, np.uint32), position


def _numpy_state() -> tuple[npt.NDArray[np.uint32], int]:
    # numpy lets a program replace the global bit generator; only the usual one has this layout.
    state = np.random.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return np.frombuffer(repr(state).encode().ljust(4 * _BLOCK)[: 4 * _BLOCK], np.uint32), 0
    return np.array(state["state"]["key"], np.uint32), int(state["state"]["pos"])
