"""The ledger: who drew from the global generators, and how much. Off unless asked for: it looks at every torch call.

What drew is found by comparing a generator's state before a call with that after it, so no list of operations can be
incomplete. torch's calls are seen through a TorchFunctionMode, Python's and numpy's through their module functions.
What was drawn in another way (inside C++, in another thread, through a function imported before the recording) is found
at the next call, and booked as "elsewhere".
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import random
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lab_parity.ledger import Drawn
from lab_parity.record.notes import Notes
from lab_parity.record.place import NOWHERE, Place, Places

__all__ = ["Booked", "Ledger", "drawn"]

Booked = dict[tuple[int, str, str, Place], list[int]]
"""(micro-step, generator, what drew, where) -> calls, and words or -1."""

_ELSEWHERE = "elsewhere"
_OWN = "a generator of its own"
_NUMPY_BYTES = 4 * 624 + 4
_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_MOST_WORDS = 1 << 16
"""Words that are counted one by one; of more, only that there were more."""
_NOT_DRAWING = {"seed", "get_state", "set_state", "get_bit_generator", "set_bit_generator"}


def drawn(booked: Booked) -> list[Drawn]:
    """As a trace has it."""
    return [
        Drawn(micro, generator, what, place.line, place.module, calls, None if words < 0 else words)
        for (micro, generator, what, place), (calls, words) in booked.items()
    ]


class Ledger:
    """Books every draw from `watch()` on; `micro` says how many backward passes of the step have ended."""

    def __init__(self, notes: Notes, micro: Callable[[], int]) -> None:
        self._notes = notes
        self._micro = micro
        self._places = Places()
        self._booked: Booked = {}
        self._seen = _look()

    def watch(self) -> list[Callable[[], None]]:
        """Begin; returns what ends it."""
        self._seen = _look()
        mode = _Watch(self)
        mode.__enter__()  # type: ignore[no-untyped-call]
        return [mode.leave, _fast_paths_stay(mode), *_watch_python(self), *_watch_numpy(self)]

    def take(self) -> Booked:
        """What was booked since the last call."""
        self._compare(None, self._seen, {})
        booked, self._booked = self._booked, {}
        return booked

    def give_back(self, booked: Booked, micro: int) -> None:
        """What was taken, after `micro` backward passes, belongs to the step that is still to come."""
        later, self._booked = self._booked, dict(booked)
        for (number, generator, what, place), (calls, words) in later.items():
            entry = self._booked.setdefault((number + micro, generator, what, place), [0, 0])
            entry[0] += calls
            entry[1] = -1 if min(words, entry[1]) < 0 else entry[1] + words

    def book(self, generator: str, what: str, words: int | None, seen: bool = True) -> None:
        """`what` drew `words` 32-bit words (None: unknown), at the place from which this is called."""
        key = (self._micro(), generator, what, self._places.here(what) if seen else NOWHERE)
        entry = self._booked.setdefault(key, [0, 0])
        entry[0] += 1
        entry[1] = -1 if words is None or entry[1] < 0 else entry[1] + words

    def guard(self, generator: str, name: Callable[[], str], words: int) -> None:
        """Book a draw whose size is known from its call."""
        self._notes.guard(lambda: self.book(generator, name(), words))

    def call(self, name: Callable[[], str], what: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Make a call, and book what it drew."""
        own = kwargs.get("generator")
        extra = {_OWN: own.get_state()} if isinstance(own, torch.Generator) else {}
        self._notes.guard(self._compare, None, self._seen, {})
        before = {**self._seen, **extra}
        try:
            return what(*args, **kwargs)
        finally:
            self._notes.guard(self._compare, name, before, {_OWN: own.get_state()} if extra and own else {})

    def _compare(self, name: Callable[[], str] | None, before: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
        """Book each generator whose state is no longer that before; without a name nobody saw who it was."""
        self._seen = _look()
        for generator, state in {**self._seen, **extra}.items():
            known = before.get(generator)
            if known is not None and not _same(known, state):
                words = _words(known, state)
                self.book(generator, _ELSEWHERE if name is None else name(), words, seen=name is not None)


class _Watch(TorchFunctionMode):
    """Shows the ledger every call of torch that Python makes."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger
        self._left = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The call itself, its draws booked. A compiled function is traced as if nobody looked."""
        kwargs = kwargs or {}
        if self._left or torch.compiler.is_compiling() or getattr(func, "__name__", "") == "__get__":
            return func(*args, **kwargs)
        return self._ledger.call(lambda: _name(func), func, args, kwargs)

    def leave(self) -> None:
        """See nothing more; a mode that the program has entered since stays where it is."""
        self._left = True
        if torch._C._len_torch_function_stack() and torch._C._get_function_stack_at(_top()) is self:
            self.__exit__(None, None, None)


def _top() -> int:
    return torch._C._len_torch_function_stack() - 1


def _fast_paths_stay(mode: _Watch) -> Callable[[], None]:
    """torch's transformer layers evaluate in another way where somebody looks on: tell them that nobody does."""
    original = torch.overrides.has_torch_function

    def has_torch_function(args: Any) -> bool:
        if torch.compiler.is_compiling() or not torch._C._len_torch_function_stack():
            return bool(original(args))
        if torch._C._get_function_stack_at(_top()) is not mode:
            return bool(original(args))
        torch._C._pop_torch_function_stack()
        try:
            return bool(original(args))
        finally:
            torch._C._push_on_torch_function_stack(mode)

    torch.overrides.has_torch_function = has_torch_function

    def stop() -> None:
        torch.overrides.has_torch_function = original

    return stop


def _watch_python(ledger: Ledger) -> list[Callable[[], None]]:
    # All of `random` comes down to these two methods of its hidden instance.
    hidden: Any = random._inst
    undo: list[Callable[[], None]] = []

    def watch(name: str, words: Callable[..., int]) -> None:
        original, public = getattr(hidden, name), getattr(random, name)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            ledger.guard("python", lambda: _python_name(name), words(*args))
            return original(*args, **kwargs)

        def stop() -> None:
            delattr(hidden, name)
            setattr(random, name, public)

        setattr(hidden, name, call)
        setattr(random, name, call)
        undo.append(stop)

    watch("random", lambda: 2)
    watch("getrandbits", lambda bits=0: math.ceil(bits / 32) if isinstance(bits, int) else 0)
    return undo


def _python_name(name: str) -> str:
    """The function of `random` that the program called: the outermost one of that file."""
    frame, found = sys._getframe(1), name
    while frame.f_back is not None and frame.f_code.co_filename != random.__file__:
        if not frame.f_code.co_filename.startswith(_OURS):
            return f"random.{found}"
        frame = frame.f_back
    while frame.f_back is not None and frame.f_code.co_filename == random.__file__:
        found, frame = frame.f_code.co_name, frame.f_back
    return f"random.{found}"


def _watch_numpy(ledger: Ledger) -> list[Callable[[], None]]:
    hidden = np.random.mtrand._rand
    undo: list[Callable[[], None]] = []

    def watch(name: str, original: Callable[..., Any]) -> None:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            return ledger.call(lambda: f"numpy.random.{name}", original, args, kwargs)

        setattr(np.random, name, call)
        undo.append(lambda: setattr(np.random, name, original))

    for name in dir(np.random):
        value = getattr(np.random, name)
        if getattr(value, "__self__", None) is hidden and name not in _NOT_DRAWING:
            watch(name, value)
    return undo


def _name(what: Any) -> str:
    name = str(getattr(what, "__name__", what))
    home = str(getattr(what, "__module__", None))
    if hasattr(sys.modules.get(home), name):
        return f"{home}.{name}"
    # Built-in functions do not say where they come from; methods in place are a tensor's.
    return f"torch.{name}" if hasattr(torch, name) and not name.endswith("_") else f"Tensor.{name}"


def _look() -> dict[str, Any]:
    """Generator -> its state: torch's tensor, numpy's bytes, a CUDA device's counter."""
    found: dict[str, Any] = {"torch": torch.get_rng_state(), "numpy": _numpy_words()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        for device, generator in enumerate(torch.cuda.default_generators):
            with suppress(RuntimeError):  # while a graph is captured
                found[f"cuda:{device}"] = int(generator.get_offset())
    return found


def _same(a: Any, b: Any) -> bool:
    return a.equal(b) if isinstance(a, Tensor) else bool(a == b)


def _numpy_words() -> bytes:
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    if type(generator) is not np.random.MT19937:
        return repr(generator.state).encode()
    return ctypes.string_at(generator.ctypes.state_address, _NUMPY_BYTES)


def _words(a: Any, b: Any) -> int | None:
    """How many 32-bit words were drawn between two states; None where nobody can tell."""
    from lab_parity.diagnose.generator import Mersenne, decode, words_between

    if isinstance(a, int):
        return b - a if b > a else None
    if isinstance(a, Tensor):
        states = [decode(state) for state in (a, b)]
    elif len(a) == len(b) == _NUMPY_BYTES:
        numbers = [np.frombuffer(state, np.uint32) for state in (a, b)]
        states = [Mersenne(words[:-1], int(words[-1])) for words in numbers]
    else:
        return None
    first, second = states
    if first is None or second is None:
        return None
    found = words_between(first, second, _MOST_WORDS)
    return found if found is not None and found > 0 else None
