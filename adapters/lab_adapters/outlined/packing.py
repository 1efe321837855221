"""Plain values and tensors as a checkpoint can hold them and `torch.load(weights_only=True)` can read them.

A program knows its tensors as objects: the parameters in its own list are the model's, two names may be one tensor,
and what is updated in place must stay where it is. So a model's tensor is saved as its name, a tensor that is met
again as the first one's number, and one that was there before the loop is filled rather than replaced. Of an object
that a resumed run has, too, no more is saved than its class and where it is first met: what it holds is kept attribute
by attribute (see `slots`). One that the training has made is saved with its attributes.
"""

from __future__ import annotations

import functools
import io
import types
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from lab_adapters.outlined.addresses import is_an_address, split_at_addresses
from lab_adapters.outlined.arrays import bytes_of
from lab_adapters.outlined.files import LOST, place_in
from lab_adapters.outlined.forms import PLAIN, form_of
from lab_adapters.outlined.instances import attributes_of, is_plain, named
from lab_adapters.outlined.iterators import Replayed, is_raw
from lab_adapters.outlined.kinds import FED, LARGE, container_kind, entries_of, is_builtin, leaves_of, name_of
from lab_adapters.outlined.marks import TensorMark
from lab_adapters.outlined.own_generators import GENERATORS, generator_state
from lab_adapters.outlined.parts import class_of, described, parts_of
from lab_adapters.outlined.sequences import over
from lab_adapters.outlined.weak import CACHES, WEAK, cached_of, entries_of_weak

__all__ = ["MISSING", "Packing", "every"]

#: A container with more entries is data, such as a cache of a data set, if its tensors take more bytes.
MANY, MOST_BYTES = 10_000, 2**30
#: In place of a value that is not there, or that has no plain form.
MISSING = object()
#: Objects in objects are kept this far.
DEEPEST = 50


@attrs.define(eq=False)
class Packing:
    """Packs the values of one checkpoint.

    `names` are those of the models' tensors, `loaders` those of loaders and `objects` those of the program's objects,
    by identity; `bases` are those of the models' tensors by where they lie, and `shared` the places where more than
    one of the tensors to be packed lie.
    """

    names: Mapping[int, str] = attrs.field(factory=dict)
    loaders: Mapping[int, str] = attrs.field(factory=dict)
    objects: Mapping[int, str] = attrs.field(factory=dict)
    bases: Mapping[int, str] = attrs.field(factory=dict)
    shared: frozenset[int] = frozenset()
    #: Whether a run that goes on has an object, too; others are kept by their attributes.
    was_there: Callable[[Any], bool] = lambda value: False
    #: Where a run that goes on has the very same container, if anywhere.
    stands_at: Callable[[Any], str | None] = lambda value: None
    #: Classes of what had no plain form in the value that was packed last.
    left: list[str] = attrs.field(factory=list)
    #: Whether models, optimizers and schedules that a run that goes on does not have are kept by their parts, too.
    by_parts: bool = False
    #: Where tensors lie in models' parts that a run that goes on has, by identity.
    homes: Mapping[int, str] = attrs.field(factory=dict)
    #: What tells tensors that a run that goes on has where they stand now, by identity.
    standing: Mapping[int, dict[str, Any]] = attrs.field(factory=dict)
    #: Which object lies at an address, of those that a run that goes on can find, and what kind of address it is.
    lies_at: Callable[[int], tuple[str, Any] | None] = lambda address: None
    #: How many of them the value in hand is a part of.
    _within: int = 0
    #: Tensors and containers that were packed: their identities and numbers.
    _seen: dict[int, int] = attrs.field(factory=dict)
    _storages: dict[int, int] = attrs.field(factory=dict)
    #: What was numbered lives until the end, so that no identity is given twice.
    _kept: list[Any] = attrs.field(factory=list)
    _last: list[int] = attrs.field(factory=list)
    _depth: int = 0

    def whole(self, value: Any, before: Any = None) -> Any:
        """The value's plain form, `MISSING` where it has, or holds, what has none."""
        packed = self.pack(value, before)
        return MISSING if self.left else packed

    def pack(self, value: Any, before: Any = None) -> Any:
        """The value's plain form; of what has none, its class. `before` is its mark when the loop began, if any."""
        self.left, self._last, self._depth = [], [], 0
        return self._pack(value, before)

    def numbers(self) -> dict[int, int]:
        """What was packed, by identity, and the numbers under which it is met again."""
        return dict(self._seen)

    def forget(self) -> None:
        """What was packed last is not kept: what it held is met anew elsewhere."""
        for number in self._last:
            del self._seen[number]
        self._last = []

    def _number(self, value: Any) -> int:
        number = self._seen[id(value)] = len(self._kept)
        self._kept.append(value)
        self._last.append(id(value))
        return number

    def _pack(self, value: Any, before: Any) -> Any:
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":  # of which np.float64 is a float, too
            return {"kind": "numpy scalar", "value": value.item(), "dtype": value.dtype.str}
        if form := form_of(value):
            return {"kind": form.kind, "value": form.write(value), "class": name_of(type(value))}
        if type(value) in PLAIN:
            return self._address(value) if type(value) is int and is_an_address(value) else value
        if isinstance(value, str | bytes | int | float):
            # A class of the program's own: its value where the class is known, when it is read.
            base: Any = next(one for one in (str, bytes, int, float) if isinstance(value, one))
            return {"kind": "of a class", "value": base(value), "class": name_of(type(value))}
        if isinstance(value, Tensor):
            return self._tensor(value, before)
        if isinstance(value, np.generic) and not value.dtype.hasobject and not isinstance(value, str | bytes):
            return {"kind": "array scalar", **bytes_of(np.asarray(value))}
        if type(value) is np.ndarray and not value.dtype.hasobject:
            return {"kind": "array", **bytes_of(value)}
        if type(value) is np.ndarray and value.dtype.kind == "O":
            entries = [self._pack(one, None) for one in value.flat]
            return {"kind": "objects", "value": entries, "shape": list(value.shape)}
        if isinstance(value, GENERATORS):
            device = str(getattr(value, "device", "cpu"))
            return {
                "kind": "generator", "value": generator_state(value), "class": name_of(type(value)), "device": device,
            }  # fmt: skip
        if (isinstance(value, Replayed) or is_raw(value)) and (made := self._over_a_sequence(value)) is not None:
            return made
        if isinstance(value, Replayed):
            return self._iterator(value)
        if isinstance(value, io.IOBase):
            place = place_in(value)
            return (
                {"kind": "lost", "value": "`next` reads its lines and tells no place"}
                if place == LOST
                else {"kind": "file", "value": place}
            )
        if isinstance(value, FED):
            return {"kind": "lost", "value": "the training itself made this queue, or filled it"}
        if isinstance(value, CACHES) and (cached := cached_of(value)):
            return {
                "kind": "lost",
                "value": f"the training itself filled this cache of a function ({', '.join(cached)})",
            }
        kind = container_kind(value)
        if isinstance(value, WEAK) and len(value) <= LARGE:
            kind = "weak"
        return self._container(kind, value, before) if kind is not None else self._object(value)

    def _container(self, kind: str, value: Any, before: Any) -> dict[str, Any]:
        if id(value) in self._seen:
            return {"kind": "again", "value": self._seen[id(value)]}
        if (path := self.stands_at(value)) is not None:
            return {"kind": "stands", "value": path}
        more: dict[str, Any] = {}
        if kind == "weak":
            pairs = [[self._pack(key, None), self._pack(inner, None)] for key, inner in entries_of_weak(value)]
            return {"kind": "weak", "value": pairs, "number": self._number(value)}
        if not is_builtin(value):
            more["class"] = name_of(type(value))
            if not is_plain(value):
                self.left.append(type(value).__name__)
        if isinstance(value, defaultdict):
            more["factory"] = getattr(value.default_factory, "__name__", "")
        if isinstance(value, deque):
            more["maxlen"] = value.maxlen
        if kind in ("list", "dict", "set", "deque"):
            more["number"] = self._number(value)
        if len(value) > LARGE and kind in ("list", "tuple", "deque") and (numbers := _numbers(value)) is not None:
            return {"kind": kind, "value": numbers, **more}
        if len(value) > MANY and _bytes(value) > MOST_BYTES:
            of = sorted({type(one).__name__ for pair in entries_of(value) for one in _parts(pair, kind)})
            self.left += of
            return {"kind": "not kept", "value": len(value), "of": of}
        marks = _marks_of(before, len(value))
        if kind == "dict":
            pairs = [
                [self._key(key), self._pack(inner, made[1] if made is not None else None)]
                for (key, inner), made in zip(entries_of(value), marks, strict=True)
            ]
            return {"kind": "dict", "value": pairs, **more}
        if kind in ("set", "frozenset"):
            return {"kind": kind, "value": [self._key(one) for one in entries_of(value)], **more}
        packed = [self._pack(inner, made) for inner, made in zip(entries_of(value), marks, strict=True)]
        return {"kind": kind, "value": packed, **more}

    def _key(self, key: Any) -> Any:
        """Of a dictionary, or an entry of a set: names may tell an address, too."""
        if type(key) is not str or not is_an_address(key):
            return self._pack(key, None)
        parts = [self._address(part) if isinstance(part, int) else part for part in split_at_addresses(key)]
        return {"kind": "with an address", "value": parts} if any(isinstance(one, dict) for one in parts) else key

    def _address(self, value: int) -> Any:
        known = self.lies_at(value)
        return {"kind": "address", "value": self._pack(known[1], None), "of": known[0]} if known is not None else value

    def _object(self, value: Any) -> dict[str, Any]:
        if id(value) in self._seen:
            return {"kind": "again", "value": self._seen[id(value)]}
        # Of two iterators of one class, the other says nothing of where this one was.
        moved = is_raw(value) or isinstance(value, np.ndarray)
        path = None if moved else self.objects.get(id(value))
        made: dict[str, Any] = {"kind": "object", "value": path, "class": name_of(value), "moved": moved}
        if self.was_there(value) and path is not None:
            return made
        if named(made["class"], libraries=self._within > 0) is value:
            return {**made, "itself": True}
        if type(value) is functools.partial and self._depth <= DEEPEST:
            made["number"] = self._number(value)
            self._depth += 1
            made["partial"] = [self._pack(inner, None) for inner in (value.func, value.args, value.keywords)]
            self._depth -= 1
            return made
        if self.by_parts and self._depth <= DEEPEST and _is_of_its_class(value):
            # A layer that the training makes may hold a method: `self.lists = [self.named_parameters]`.
            self._depth += 1
            made["method"] = [self._pack(value.__self__, None), value.__name__]
            self._depth -= 1
            return made
        parts = parts_of(value) if self.by_parts else None
        if (parts is None and not is_plain(value)) or self._depth > DEEPEST:
            self.left.append(type(value).__name__)
            return made
        self._depth += 1
        self._within += parts is not None
        made["number"] = self._number(value)
        made["attributes"] = [
            [name, self._pack(inner, None)] for name, inner in (parts or attributes_of(value)).items()
        ]
        self._within -= parts is not None
        self._depth -= 1
        return made if parts is None else {**made, "parts": name_of(class_of(value))}

    def _over_a_sequence(self, value: Any) -> Any:
        """An iterator by what it goes through, where a checkpoint holds that; else None."""
        found = over(value.raw if isinstance(value, Replayed) else value)
        if found is None:
            return None
        left = list(self.left)
        packed = self._pack(found.sequence, None)
        if self.left != left:
            self.left[:] = left
            return None
        return {"kind": "over a sequence", "value": packed, "index": found.index, "backwards": found.backwards}

    def _iterator(self, value: Replayed) -> Any:
        loader = self.loaders.get(id(value.loader)) if value.loader is not None else None
        made: dict[str, Any] = {
            "kind": "iterator", "value": value.state(), "loader": loader, "created": value.created,
        }  # fmt: skip
        if value.loader is None or loader is not None:
            return made
        # `batches = iter(DataLoader(…))`: nothing else holds the loader, which is made again of what it holds.
        left = list(self.left)
        made["made"] = self._pack(value.loader, None)
        if self.left == left:
            return made
        self.left[:] = left
        return {"kind": "lost", "value": "the training itself made this iterator of a DataLoader"}

    # ---- tensors

    def _tensor(self, value: Tensor, before: Any) -> Any:
        if id(value) in self.names:
            told = described(value) if self.by_parts else None
            more = {"told": told, "home": self.homes.get(id(value))} if told is not None else {}
            return {"kind": "of a model", "value": self.names[id(value)], **more}
        if id(value) in self._seen:
            return {"kind": "again", "value": self._seen[id(value)]}
        number = self._number(value)
        stays = isinstance(before, TensorMark) and before.ref() is value
        stands = self.standing.get(id(value), {})
        stays = stays or bool(stands)
        if not stays and (view := self._view(value)) is not None:
            return {**view, "number": number}
        lies = where(value)
        shares = {"lies": self._storages.setdefault(lies, len(self._storages))} if lies and lies in self.shared else {}
        grad = value.grad if value.is_leaf else None
        return {
            "kind": "tensor",
            "value": plain if type(plain := value.detach().clone()) is Tensor else plain.as_subclass(Tensor),
            "device": str(value.device),
            "number": number,
            "stays": stays,
            "requires_grad": value.is_leaf and value.requires_grad,
            "parameter": isinstance(value, torch.nn.Parameter),
            "graph": value.grad_fn is not None,
            "grad": grad.detach().clone() if grad is not None else None,
            **({"stands": stands} if stands else {}),
            **shares,
        }

    def _view(self, value: Tensor) -> dict[str, Any] | None:
        """Of a tensor that lies where another one does, and changes with it."""
        lies = where(value)
        if lies is None or (lies not in self.bases and lies not in self.shared):
            return None
        layout = {"size": list(value.shape), "stride": list(value.stride()), "offset": value.storage_offset()}
        if lies in self.bases:
            return {"kind": "view of a model", "value": self.bases[lies], "dtype": value.dtype, **layout}
        first = lies not in self._storages
        number = self._storages.setdefault(lies, len(self._storages))
        all_of_it = torch.empty(0, dtype=torch.uint8, device=value.device).set_(value.untyped_storage())
        stored = {"bytes": all_of_it.clone(), "device": str(value.device)} if first else {}
        return {"kind": "view", "value": number, "dtype": value.dtype, **layout, **stored}


def _is_of_its_class(value: Any) -> bool:
    """Whether it is a method that its object has from its class, by its own name."""
    return (
        isinstance(value, types.MethodType)
        and not isinstance(value.__self__, type)
        and getattr(type(value.__self__), value.__name__, None) is value.__func__
    )


def every(packed: Any) -> Iterator[dict[str, Any]]:
    """Each of the packed values that one, or a list of them, holds, and itself."""
    if isinstance(packed, dict) and "kind" in packed:
        yield packed
        packed = [packed.get(name) for name in ("value", "attributes", "partial", "method", "made")]
    if isinstance(packed, list):
        for one in packed:
            yield from every(one)


def where(value: Tensor) -> int | None:
    """Where a tensor's numbers lie, of one that is no part of a graph; None for others."""
    if value.requires_grad or value.layout != torch.strided or value.is_meta or type(value) is not Tensor:
        return None
    return value.untyped_storage().data_ptr() or None


def _marks_of(before: Any, size: int) -> tuple[Any, ...]:
    """Of the entries, where there are as many as there were."""
    made = before[2] if isinstance(before, tuple) and len(before) == 3 and before[0] == "container" else ()
    return made if isinstance(made, tuple) and len(made) == size else (None,) * size


def _numbers(value: Any) -> Tensor | None:
    """All floats, or all integers that a tensor holds, as one."""
    kinds = set(map(type, value))
    if kinds == {float}:
        return torch.tensor(list(value), dtype=torch.float64)
    if kinds == {int} and max(value) < 2**63 and min(value) >= -(2**63):
        return torch.tensor(list(value), dtype=torch.int64)
    return None


def _parts(entry: Any, kind: str) -> tuple[Any, ...]:
    return tuple(entry) if kind == "dict" else (entry,)


def _bytes(value: Any) -> int:
    return sum(int(leaf.nbytes) for leaf in leaves_of(value) if isinstance(leaf, Tensor | np.ndarray))
