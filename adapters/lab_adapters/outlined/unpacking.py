"""What `Packing` has packed, as the program's own objects again: filled where they are there, made where not."""

from __future__ import annotations

import enum
import functools
import io
import types
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lab_adapters.outlined.addresses import address_of
from lab_adapters.outlined.arrays import array_of, filled_array, objects_of
from lab_adapters.outlined.files import put_place
from lab_adapters.outlined.forms import FORMS, in_place
from lab_adapters.outlined.instances import attributes_of, named, put_attributes
from lab_adapters.outlined.iterators import Replayed, lost, replay
from lab_adapters.outlined.kinds import FACTORIES, container_kind, filled, name_of
from lab_adapters.outlined.own_generators import generator_like, put_generator
from lab_adapters.outlined.packing import MISSING
from lab_adapters.outlined.parts import blank_of, is_as_told, made_of
from lab_adapters.outlined.sequences import Over, goes_through, over
from lab_adapters.outlined.state_dicts import at_home
from lab_adapters.outlined.tensors import tensor_of
from lab_adapters.outlined.weak import WEAK, entries_of_weak, filled_weak

__all__ = ["Unpacking"]


@attrs.define(eq=False)
class Unpacking:
    """Unpacks the values of one checkpoint, in the order in which they were packed.

    `tensors` are the models', `loaders` the DataLoaders, `objects` and `containers` the program's own, by their paths.
    """

    tensors: Mapping[str, Tensor] = attrs.field(factory=dict)
    loaders: Mapping[str, Any] = attrs.field(factory=dict)
    objects: Mapping[str, Any] = attrs.field(factory=dict)
    containers: Mapping[str, Any] = attrs.field(factory=dict)
    #: While models are made of their parts: the tensors among them, by the models' names for them.
    blanks: dict[str, Tensor] | None = None
    #: Packed values by their numbers, of what may be met again before it was met first.
    numbered: Mapping[int, Any] = attrs.field(factory=dict)
    #: Tensors that were made of packed ones before, by their numbers.
    given: Mapping[int, Tensor] = attrs.field(factory=dict)
    #: Finds a tensor that was there before the training, by where it stands.
    standing: Callable[[Mapping[str, Any]], Tensor | None] = lambda told: None
    _made: dict[int, Any] = attrs.field(factory=dict)
    #: Containers of the program's that are not to be filled: each that was is one of the checkpoint's only.
    _filled: set[int] = attrs.field(factory=set)
    #: Of places that several tensors share: one that lies there, and those that were made of it.
    _storages: dict[int, Tensor] = attrs.field(factory=dict)
    _views: dict[int, list[Tensor]] = attrs.field(factory=dict)
    #: Paths of objects that were made of their attributes.
    built: list[str] = attrs.field(factory=list)
    #: Paths of what could not be made again.
    warned: list[str] = attrs.field(factory=list)
    #: The name of the value in hand, and what of it no checkpoint holds.
    _name: str = ""
    _left: list[str] = attrs.field(factory=list)

    def unpack(self, packed: Any, target: Any = None, name: str = "") -> Any:
        """The value; what stands there now, `target`, is filled where the program may know it by other names.

        What cannot be made again is warned of, and the target left as it is. Raises `KeyError` for a tensor of a model
        that is not there.
        """
        self._left, self._name = [], name
        made = self._unpack(packed, target, name)
        if self._left and isinstance(packed, dict) and packed.get("bound"):
            # What no checkpoint holds may stand in what the name holds now: a library's objects do.
            self._left = []
            made = self._unpack({**packed, "bound": False}, target, name)
        if not self._left:
            return made
        if self.blanks is not None:
            return MISSING
        self.warned.append(name)
        what = ", ".join(sorted(set(self._left))[:4])
        if isinstance(packed["value"], list | int) and packed["kind"] != "object":
            size = len(packed["value"]) if isinstance(packed["value"], list) else packed["value"]
            what = f"its {size} entries ({what})"
        warnings.warn(
            f"resume: {name}: {what} are not kept in a checkpoint; it is as the program made it, so that the resumed "
            "training is not the same if it reads it",
            stacklevel=2,
        )
        return target

    def tensors_made(self) -> dict[int, Tensor]:
        """Those that were unpacked, by their numbers."""
        return {number: one for number, one in self._made.items() if isinstance(one, Tensor)}

    def _unpack(self, packed: Any, target: Any, name: str) -> Any:
        if not isinstance(packed, dict):
            return packed
        kind, value = packed["kind"], packed["value"]
        if kind in ("of a model", "view of a model"):
            if self.blanks is not None:
                return self._of_parts(packed, target)
            if value not in self.tensors:
                raise KeyError(
                    f"checkpoint: expected the model's tensor {value}, found {', '.join(self.tensors)[:200]}"
                )
            base = self.tensors[value]
            return base if kind == "of a model" else self._view(packed, base.detach())
        if kind == "again":
            if value not in self._made and value in self.numbered:
                return self._unpack(self.numbered[value], target, "")
            if value not in self._made:
                self._left.append("what another name has")
            return self._made.get(value, target)
        if kind == "stands":
            if value not in self.containers:
                self._left.append(f"what stood at {value}")
            return self.containers.get(value, target)
        if kind == "tensor":
            return self._tensor(packed, target)
        if kind == "view":
            if "bytes" in packed and value not in self._storages:
                self._storages[value] = at_home(packed["bytes"].clone(), packed["device"])
            made = self._view(packed, self._storages[value])
            self._views.setdefault(value, []).append(made)
            return made
        if kind == "generator":
            there = generator_like(target, packed.get("class", ""), value, packed.get("device", "cpu"))
            return put_generator(there, value) if there is not None else self._missed("a generator", target)
        if kind == "iterator":
            return self._iterator(packed, target, name)
        if kind == "over a sequence":
            return self._over_a_sequence(packed, target)
        if kind == "file":
            return put_place(target, value) if isinstance(target, io.IOBase) else self._missed("a file", target)
        if kind == "lost":
            lost(name or self._name, value)
            return target
        if kind == "weak":
            return self._weak(packed, target)
        if kind == "address":
            return address_of(packed["of"], self._unpack(value, None, ""))
        if kind == "with an address":
            return "".join(str(self._unpack(part, None, "")) for part in value)
        if kind == "numpy scalar":
            return np.dtype(packed["dtype"]).type(value)
        if kind == "array scalar":
            return array_of(packed)[()]
        if kind == "array":
            return filled_array(array_of(packed), target)
        if kind == "of a class":
            cls = self._class(packed, target)
            return target if cls is None else cls.__new__(cls, value)
        if kind == "deleted":
            return MISSING
        if kind == "not kept":
            self._left += packed["of"]
            return target
        if kind in FORMS:
            return self._form(packed, target)
        return self._object(packed, target) if kind == "object" else self._container(packed, target)

    def _weak(self, packed: dict[str, Any], target: Any) -> Any:
        if not isinstance(target, WEAK):
            return self._missed("a weak dictionary", target)
        self._made[packed["number"]] = target
        there = {id(key): inner for key, inner in entries_of_weak(target)}
        entries = []
        for key, inner in packed["value"]:
            made = self._unpack(key, None, "")
            entries.append((made, self._unpack(inner, there.get(id(made)), "")))
        return target if self._left else filled_weak(target, entries)

    def _of_parts(self, packed: dict[str, Any], target: Any) -> Any:
        """A tensor of a model that is made of its parts now and loaded next, or of a part that is there."""
        if "told" not in packed:
            return target
        there = self.tensors.get(packed["home"] or "")
        if is_as_told(there, packed["told"]):
            return there
        return self.blanks.setdefault(packed["value"], blank_of(packed["told"])) if self.blanks is not None else target

    def _missed(self, what: str, target: Any) -> Any:
        """What the training has opened or made, and this run has not."""
        self._left.append(what)
        return target

    def _form(self, packed: dict[str, Any], target: Any) -> Any:
        if packed["kind"] == "enum" and name_of(type(target)) != packed["class"]:
            cls = named(packed["class"], self.objects.values(), libraries=True)
            member = next(iter(cls), None) if isinstance(cls, enum.EnumMeta) else None
            if member is None:
                return self._missed(packed["class"], target)
            return FORMS["enum"].read(packed["value"], member)
        return in_place(FORMS[packed["kind"]].read(packed["value"], target), target)

    def _object(self, packed: dict[str, Any], target: Any) -> Any:
        """The program's own of that path, else one made of its attributes, else what stands there, if of its class."""
        if "partial" in packed:
            function, arguments, keywords = (self._unpack(inner, None, "") for inner in packed["partial"])
            made = functools.partial(function, *arguments, **keywords) if callable(function) else target
            self._made[packed["number"]] = made
            if packed["value"] is not None:
                self.built.append(packed["value"])
            return made
        if "method" in packed:
            inner, method = packed["method"]
            # It may be the very object whose attributes are read now, which waits for them: a method of its class.
            owner = self._made.get(inner.get("number", -1), MISSING) if isinstance(inner, dict) else inner
            owner = self._unpack(inner, None, "") if owner is MISSING else owner
            function = getattr(type(owner), method, None)
            return types.MethodType(function, owner) if callable(function) else self._missed(method, target)
        same = [
            one
            for one in (self.objects.get(packed["value"]), target)
            if one is not None and name_of(one) == packed["class"] and not packed["moved"]
        ]
        known = packed["value"] in self.objects
        if same and (known or "attributes" not in packed):
            return self._with_attributes(same[0], packed)
        name = packed.get("parts", packed["class"])
        cls = named(name, self.objects.values(), libraries=bool(packed.keys() & {"parts", "itself"}))
        if cls is not None and packed.get("itself"):
            return cls
        if cls is None or "attributes" not in packed:
            self._left.append(packed["class"].rpartition(".")[2])
            return target
        if packed["value"] is not None:
            self.built.append(packed["value"])
        return self._with_attributes(cls.__new__(cls), packed)

    def _with_attributes(self, made: Any, packed: dict[str, Any]) -> Any:
        if "number" in packed:
            self._made[packed["number"]] = made
            there = attributes_of(made)
            kept = {name: self._unpack(inner, there.get(name), "") for name, inner in packed["attributes"]}
            if packed.get("parts") and not there:
                if not self._left:
                    made_of(made, kept)
            else:
                new = {name: value for name, value in kept.items() if value is not there.get(name, packed)}
                put_attributes(made, new)
        return made

    def _iterator(self, packed: dict[str, Any], target: Any, name: str) -> Any:
        if self.blanks is not None:
            return target
        state, path = packed["value"], packed["loader"]
        if path is not None:
            if path not in self.loaders:
                raise KeyError(f"checkpoint: {name}: expected the loader {path}, found {', '.join(self.loaders)}")
            return replay(self.loaders[path], {**state, "created": packed["created"]}, name, target)
        loader = self._unpack(packed["made"], None, "") if "made" in packed else None
        if isinstance(loader, DataLoader):
            return replay(loader, {**state, "created": packed["created"]}, name)
        if isinstance(target, Replayed) and state.get("replaced") and not target.replaced:
            lost(name or self._name, "the training itself put this iterator in the place of another")
        elif isinstance(target, Replayed):
            target.pass_over(state, name)
        else:
            lost(name or self._name, "the training itself made this iterator")
        return target

    def _over_a_sequence(self, packed: dict[str, Any], target: Any) -> Any:
        """The target where it goes through the same: another iterator may take from it."""
        place = Over(self._unpack(packed["value"], None, ""), packed["index"], packed["backwards"])
        raw = target.raw if isinstance(target, Replayed) else target
        there = over(raw)
        if there is None or not goes_through(there, place):
            return place.made(place.sequence)
        raw.__setstate__(place.index)
        return target

    def _container(self, packed: dict[str, Any], target: Any) -> Any:
        kind, value = packed["kind"], packed["value"]
        number = packed.get("number")
        there_now = target
        # A name that the loop has bound to another one: what it held before may have other names.
        if number is not None and (packed.get("bound") or id(target) in self._filled):
            target = None
        if number is not None and target is not None and container_kind(target) == kind:
            self._made[number] = target  # it may hold itself
        if isinstance(value, Tensor):  # numbers of a large one
            value = value.tolist()
        if kind == "dict":
            there = target if isinstance(target, dict) else {}
            entries: list[Any] = []
            for key, inner in value:
                made = self._key(key, there)
                entries.append((made, self._unpack(inner, there.get(made), "")))
        else:
            old = list(target.flat if kind == "objects" and isinstance(target, np.ndarray) else target) if isinstance(
                target, list | tuple | deque | np.ndarray
            ) else []  # fmt: skip
            old += [None] * (len(value) - len(old))
            entries = [self._unpack(inner, one, "") for inner, one in zip(value, old, strict=False)]
        cls = self._class(packed, there_now) if "class" in packed else None
        if self._left:
            if number is not None:
                self._made[number] = there_now
            return there_now
        if kind == "objects":
            return objects_of(entries, packed["shape"], target)
        made = filled(kind, entries, target, cls, packed.get("maxlen"))
        if type(made) is defaultdict and made is not target:
            made.default_factory = FACTORIES.get(packed.get("factory", ""))
        if number is not None:
            self._made[number] = made
            self._filled.add(id(made))
        return made

    def _class(self, packed: dict[str, Any], target: Any) -> Any:
        """The class that is named, of what stands there or of the program's; it is missed where there is none."""
        same = name_of(type(target)) == packed["class"]
        cls = type(target) if same else named(packed["class"], self.objects.values())
        if cls is None:
            self._left.append(packed["class"].rpartition(".")[2])
        return cls

    def _key(self, packed: Any, there: dict[Any, Any]) -> Any:
        """A member of an enumeration is told by others of it that are there."""
        of_kind = isinstance(packed, dict) and packed["kind"] == "enum"
        like = next((key for key in there if of_kind and name_of(type(key)) == packed["class"]), None)
        return self._unpack(packed, like, "")

    def _tensor(self, packed: dict[str, Any], target: Any) -> Tensor:
        given = self.given.get(packed["number"])
        if given is None and "stands" in packed:
            there = self.standing(packed["stands"])
            target = target if there is None else there
            if self.blanks is not None and isinstance(target, Tensor):
                return target  # which gets its numbers when all else does
        made = self._made[packed["number"]] = given if given is not None else tensor_of(packed, target, self._name)
        if (lies := packed.get("lies")) is not None:
            # What was made of a copy of it moves to where it is.
            self._storages[lies] = made
            for view in self._views.get(lies, ()):
                view.set_(made.untyped_storage(), view.storage_offset(), view.shape, view.stride())
        return made

    def _view(self, packed: dict[str, Any], base: Tensor) -> Tensor:
        made = torch.empty(0, dtype=packed["dtype"], device=base.device)
        made.set_(base.untyped_storage(), packed["offset"], packed["size"], packed["stride"])
        self._made[packed["number"]] = made
        return made
