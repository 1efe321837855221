"""Iterators that a program holds itself (`it = iter(loader)`, `batch = next(it)`), put back where they were on resume.

An iterator cannot be saved; it is made again and passed over what was used up. What it drew from the global generators
on the way it drew between other draws of the training, so the states before those draws are kept with its count. Of a
plain DataLoader only the first is: its sampler draws then, and what later items draw changes none that follows.
"""

from __future__ import annotations

import array
import contextlib
import copy
import csv
import dis
import gc
import random
import types
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter, _DatasetKind

from lab_adapters.generators import cuda_states, generator_states, set_generator_states
from lab_adapters.outlined.loader_generators import same_states, set_states_around, states_around

#: How many objects are looked at to tell which iterator takes from which, and through what none does.
MOST_REACHED = 10_000
_NOT_FOLLOWED = (type, types.ModuleType, types.CodeType, torch.Tensor, torch.nn.Module, str, int, float)
#: A state takes 12 kB. An iterator that draws more often than this on its own is not put back.
MOST_DRAWS = 5_000


class _Indexed:
    """Is iterated by asking for entry after entry."""

    def __getitem__(self, at: int) -> int:
        return at


_ITERABLES: tuple[Any, ...] = ([], (), {}, {}.values(), {}.items(), range(0), range(2**70), set(), "", b"", bytearray(),
                               deque(), array.array("d"), reversed([]), reversed({}))  # fmt: skip
_KINDS = (
    types.GeneratorType,
    _BaseDataLoaderIter,
    enumerate,
    zip,
    map,
    filter,
    reversed,
    np.ndindex,
    np.ndenumerate,
    type(csv.reader([])),
    type(iter(_Indexed())),
    type(iter(int, 1)),
    *(type(iter(made)) for made in _ITERABLES),
)


def is_raw(value: Any) -> bool:
    """Whether it is an iterator whose place nothing else tells: a generator, a DataLoader's, or Python's own."""
    # Not isinstance: what stands in for one says that it is of its class.
    return issubclass(type(value), _KINDS) or type(value).__module__ == "itertools"


class Replayed:
    """An iterator in place of the program's own: the same items, counted; for `isinstance` and `len` it is the other.

    `created` are the generators' states when it was made inside a loop over `loader`, else None: then the code before
    the loop makes it again. One that was `replaced` came to a name that had held another.
    """

    def __new__(cls, raw: Any, *arguments: Any, **more: Any) -> Replayed:
        """Sized where the other is: programs, and tqdm, ask whether there is a `__len__`."""
        return object.__new__(_SizedReplayed if hasattr(type(raw), "__len__") else Replayed)

    def __init__(
        self,
        raw: Any,
        loader: DataLoader[Any] | None = None,
        created: dict[str, Any] | None = None,
        replaced: bool = False,
    ) -> None:
        self.raw, self.loader, self.created, self.replaced = raw, loader, created, replaced
        self.count = 0
        self.draws: list[tuple[int, dict[str, Any]]] = []
        self._lost = False

    def __iter__(self) -> Replayed:
        return self

    def __next__(self) -> Any:
        watched = not self._lost and not (self.count and _draws_its_order_first(self.raw))
        before = _states() if watched else None
        item = next(self.raw)
        if before is not None and not _same(before, _states()):
            self._note(before)
        self.count += 1
        return item

    next = __next__

    def send(self, value: Any) -> Any:
        """Hand a generator a value; what it was given is not known on resume, so that it cannot be passed over."""
        self._lost, self.draws = True, []
        return self.raw.send(value)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.__dict__["raw"]) if "raw" in self.__dict__ else Replayed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["raw"], name)

    def __repr__(self) -> str:
        return repr(self.raw)

    def __copy__(self) -> Any:
        return copy.copy(self.raw)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.raw, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.raw.__reduce_ex__(protocol)

    def __reduce__(self) -> Any:
        return self.raw.__reduce__()

    def _note(self, before: tuple[Any, ...]) -> None:
        if len(self.draws) >= MOST_DRAWS:
            self._lost, self.draws = True, []
            return
        after = _states()
        _set(before)
        self.draws.append((self.count, generator_states()))
        _set(after)

    # ---- checkpoints

    def state(self) -> dict[str, Any]:
        """Where it stands."""
        draws = [list(draw) for draw in self.draws]
        return {"count": self.count, "draws": draws, "lost": self._lost, "replaced": self.replaced}

    def pass_over(self, state: dict[str, Any], name: str) -> None:
        """Go to where `state` stands. Raises `ValueError` where that is not possible."""
        if state["lost"]:
            raise ValueError(
                f"resume: {name}: expected an iterator that can be passed over what was used up, found one that was "
                f"sent values or drew random numbers at more than {MOST_DRAWS} items; give it a generator of its own, "
                "or let a DataLoader draw"
            )
        draws = dict(state["draws"])
        while self.count < state["count"]:
            if self.count in draws:
                set_generator_states(draws[self.count])
            try:
                next(self.raw)
            except StopIteration:
                raise ValueError(
                    f"resume: {name}: expected at least {state['count']} items, found {self.count}; "
                    "resume with the data that the checkpoint was written with"
                ) from None
            self.count += 1
        self.draws = [(index, states) for index, states in state["draws"]]


class _SizedReplayed(Replayed):
    """One that has a length."""

    def __len__(self) -> int:
        return len(self.raw)


def replay(loader: DataLoader[Any], state: dict[str, Any], name: str, there: Any = None) -> Replayed:
    """The iterator that a loop made of `loader`, made again and passed over what was used up.

    `there` is taken where the resumed program has just made it itself, at the beginning of an epoch: a sampler that
    counts how often it was asked has counted that.
    """
    made = there
    if not _is_fresh(there, loader, state["created"]):
        set_states_around(loader, state["created"])
        made = Replayed(_iter(loader), loader, state["created"])
    made.pass_over(state, name)
    return made  # type: ignore[no-any-return]


def _is_fresh(there: Any, loader: DataLoader[Any], created: dict[str, Any]) -> bool:
    if type(there) not in (Replayed, _SizedReplayed) or there.loader is not loader or there.count:
        return False
    return same_states(there.created, created)


@contextlib.contextmanager
def loaders_iterated(goes_on_later: Callable[[], bool]) -> Iterator[None]:
    """While it lasts, iterators of a DataLoader are counted from the start: a loop may make them itself.

    `goes_on_later` says whether a resumed training is on the way to where a loader may have been iterated before.
    """
    original: Callable[[Any], Any] = DataLoader.__iter__

    def counted(loader: DataLoader[Any]) -> Any:
        if loader.persistent_workers and loader._iterator is None and goes_on_later():
            _say_workers_anew()
        created = states_around(loader)
        return Replayed(original(loader), loader, created)

    DataLoader.__iter__ = counted  # type: ignore[method-assign]
    try:
        yield
    finally:
        DataLoader.__iter__ = original  # type: ignore[method-assign]


def outer_first(iterators: Mapping[str, Replayed]) -> list[str]:
    """Names of iterators in the order in which they are passed over: one that takes from another comes before it."""
    inner = {name: _reached(one.raw) for name, one in iterators.items()}
    order: list[str] = []
    left = dict(iterators)
    while left:
        # Where two take from each other there is no order to keep.
        free = [
            name for name, one in left.items() if not any(id(one) in inner[other] for other in left if other != name)
        ]
        for name in free or list(left):
            order.append(name)
            del left[name]
    return order


def _reached(raw: Any) -> set[int]:
    """Identities of what an iterator refers to, through the frames of generators and their objects."""
    found: set[int] = set()
    queue = [raw]
    while queue and len(found) < MOST_REACHED:
        for one in gc.get_referents(queue.pop()):
            if id(one) not in found and not isinstance(one, _NOT_FOLLOWED):
                found.add(id(one))
                queue.append(one)
    return found


def only_read_by(items: Any) -> Any:
    """The object whose generator method a loop's items come from, where that method assigns none of its attributes.

    Of `for batch in meters.log_every(loader):`, `meters`: what the method tells of it changes no item. None for others.
    """
    for _ in range(2):
        if isinstance(items, enumerate):
            items = next((one for one in gc.get_referents(items) if isinstance(one, types.GeneratorType)), None)
        items = items.raw if type(items) in (Replayed, _SizedReplayed) else items
    if not isinstance(items, types.GeneratorType) or items.gi_frame is None:
        return None
    code = items.gi_code
    if not code.co_argcount or any(one.opname == "STORE_ATTR" for one in dis.get_instructions(code)):
        return None
    return items.gi_frame.f_locals.get(code.co_varnames[0])


def _iter(loader: DataLoader[Any]) -> Any:
    made = iter(loader)
    return made.raw if isinstance(made, Replayed) else made


def lost(name: str, why: str) -> None:
    """Say that something starts anew, such as an iterator which a loop made itself."""
    warnings.warn(
        f"resume: {name}: {why}, which nothing can put back; it starts anew, so that the resumed training is not the "
        "same",
        stacklevel=2,
    )


def _say_workers_anew() -> None:
    """What workers remember is theirs: with `persistent_workers`, they live through all epochs."""
    warnings.warn(
        "resume: the workers of a DataLoader with persistent_workers=True start anew, and what those before them had "
        "drawn and counted by then is in no checkpoint: where their data set draws random numbers (augmentation), the "
        "resumed training is not the same; with persistent_workers=False it is",
        stacklevel=3,
    )


def _draws_its_order_first(raw: Any) -> bool:
    """Whether nothing that is drawn after the first item changes which items follow."""
    if not isinstance(raw, _BaseDataLoaderIter) or raw._dataset_kind != _DatasetKind.Map:
        return False
    sampler: Any = getattr(raw, "_index_sampler", None)
    parts = [sampler, getattr(sampler, "sampler", None)]
    return all(part is None or type(part).__module__.startswith("torch.utils.data") for part in parts)


def _states() -> tuple[Any, ...]:
    return torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=True), cuda_states()


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    arrays = np.array_equal(a[2][1], b[2][1]) and a[2][2:] == b[2][2:]
    cuda = all(torch.equal(one, other) for one, other in zip(a[3], b[3], strict=False)) and len(a[3]) == len(b[3])
    return torch.equal(a[0], b[0]) and a[1] == b[1] and arrays and cuda


def _set(states: tuple[Any, ...]) -> None:
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])
    if states[3]:
        torch.cuda.set_rng_state_all(states[3])
