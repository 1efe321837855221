"""Generator states: torch's (the CPU's and every CUDA device's), numpy's and Python's global generators.

torch starts from a fixed seed, numpy and Python from the clock. As long as the program has not seeded one of the
latter two since the recording began, its state says little; the number of words drawn from it so far, kept as the
row's value, marks that.
"""

from __future__ import annotations

import ctypes
import functools
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lab_parity.digest import digest_bytes, digest_tensor
from lab_parity.trace import Key, Row

__all__ = ["Generators"]

_BLOCK = 624
"""Words of a Mersenne Twister's state; it makes as many at a time (Matsumoto and Nishimura 1998)."""
_MAX_BLOCKS = 64
"""A state that this many blocks do not lead to was set by a seed."""


class Generators:
    """Reads the states of the global generators, once in `every` steps; draws from none of them."""

    def __init__(self, every: int = 1) -> None:
        self.python = _Twister(random.getstate, _python_state, _MAX_BLOCKS * every)
        self.numpy = _Twister(_numpy_bytes, _numpy_state, _MAX_BLOCKS * every)

    def watch(self) -> list[Callable[[], None]]:
        """Notice calls of `random.seed` and `numpy.random.seed`; returns what stops it."""
        return [_notice_seed(random, self.python), _notice_seed(np.random, self.numpy)]

    def rows(self, micro: int) -> list[Row]:
        """One row per generator."""
        states = {"torch": digest_tensor(torch.get_rng_state())}
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            for number, state in enumerate(torch.cuda.get_rng_state_all()):
                states[f"cuda:{number}"] = digest_tensor(state)
        rows = [Row(Key("rng", micro, name, "state"), digest) for name, digest in states.items()]
        for name, twister in (("python", self.python), ("numpy", self.numpy)):
            rows.append(Row(Key("rng", micro, name, "state"), *twister.look()))
        return rows

    def states(self) -> dict[str, Tensor]:
        """Generator -> its whole state: torch's as it gives it (uint8), the others' words and position (int64)."""
        states = {"torch": torch.get_rng_state()}
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            states |= {f"cuda:{number}": state.cpu() for number, state in enumerate(torch.cuda.get_rng_state_all())}
        for name, (words, position) in (("python", _python_state()), ("numpy", _numpy_state())):
            states[name] = torch.from_numpy(np.append(words.astype(np.int64), position))
        return states


class _Twister:
    """A Mersenne Twister that is followed from a first state, at most `reach` blocks at once, until it is seeded.

    `glance` gives something that is equal as long as the state is, and costs less than the state; or None.
    """

    def __init__(
        self, glance: Callable[[], object], read: Callable[[], tuple[npt.NDArray[np.uint32], int]], reach: int
    ) -> None:
        self._glance, self._read, self._reach = glance, read, reach
        self._words, self._position = read()
        self._drawn = 0
        self._seeded = False
        self._last: object = None
        self._found: tuple[bytes, float | None] = (b"", None)

    def seed(self) -> None:
        """Somebody seeds it: from now on its state means something."""
        self._seeded = True
        self._last = None

    def look(self) -> tuple[bytes, float | None]:
        """The state's digest, and the words drawn since the first state, None once somebody has seeded it."""
        now = self._glance()
        if now is None or now != self._last:
            words, position = self._read()
            self._last = now
            self._found = digest_bytes(words.tobytes() + b"%d" % position), self._drawn_to(words, position)
        return self._found

    def _drawn_to(self, words: npt.NDArray[np.uint32], position: int) -> int | None:
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
        for block in range(1, self._reach + 1):
            copy.bytes(4 * _BLOCK)
            if np.array_equal(copy.get_state(legacy=False)["state"]["key"], words):
                return block
        return None


def _notice_seed(module: ModuleType, twister: _Twister) -> Callable[[], None]:
    original = module.seed

    @functools.wraps(original)
    def seed(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        # Without an argument the clock is the seed.
        if any(value is not None for value in (*args, *kwargs.values())):
            twister.seed()

    module.seed = seed  # type: ignore[attr-defined]

    def stop() -> None:
        module.seed = original  # type: ignore[attr-defined]

    return stop


def _python_state() -> tuple[npt.NDArray[np.uint32], int]:
    *words, position = random.getstate()[1]
    return np.array(words, np.uint32), position


def _numpy_bytes() -> bytes | None:
    """The words and the position as they lie in memory (struct mt19937_state of numpy's C interface)."""
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    if type(generator) is not np.random.MT19937:
        return None
    return ctypes.string_at(generator.ctypes.state_address, 4 * _BLOCK + 4)


def _numpy_state() -> tuple[npt.NDArray[np.uint32], int]:
    # numpy lets a program replace the global bit generator; only the usual one has this layout.
    state = np.random.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return np.frombuffer(repr(state).encode().ljust(4 * _BLOCK)[: 4 * _BLOCK], np.uint32), 0
    return np.array(state["state"]["key"], np.uint32), int(state["state"]["pos"])
